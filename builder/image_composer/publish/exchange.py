"""Lets two folders change places in one step, which Python's standard library can't."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

FORMER_SUFFIX = ".former"

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""linux/fs.h"""

_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""How an old kernel, a file system without the operation (NFS, some FUSE ones), or a C library without it say so."""


def exchange(new: Path, old: Path) -> None:
    """Let two folders of one file system change places.

    Where the file system can't do it in one step, renames do it: a reader may then find nothing for a moment, and a
    crash within that moment leaves the old folder under its aside name, which `FORMER_SUFFIX` ends.

    Raises:
        OSError: neither was possible; both folders are where they were.
    """
    try:
        _rename_exchange(new, old)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        exchange_by_renames(new, old)


def exchange_by_renames(new: Path, old: Path) -> None:
    """Let two folders change places by way of a third name.

    Raises:
        OSError: it was not possible; both folders are where they were.
    """
    aside = new.with_name(new.name + FORMER_SUFFIX)
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


def _rename_exchange(new: Path, old: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "renameat2", None)  # in glibc since 2.28
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(old))
