"""Files with holes: made, and copied without filling the holes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_composer.errors import DiskError
from image_composer.run import FULL_HINT

_UNSUPPORTED = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
"""What copy_file_range answers when the kernel or the file system can't do it for these two files."""

_CHUNK = 8 * 1024 * 1024
"""Bytes copied at once when it must go through our memory."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about writing a file into an error for people.

    Raises:
        DiskError: DISK_WRITE_FAILED.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise DiskError(
            "DISK_WRITE_FAILED",
            f"{error.filename or path} can't be written: {error.strerror}",
            hint=FULL_HINT if full else None,
        ) from error


def create_sparse(path: Path, size: int) -> None:
    """Make a file that is one hole, in place of any that is there.

    Raises:
        DiskError: DISK_WRITE_FAILED.
    """
    with explained(path):
        path.unlink(missing_ok=True)
        with path.open("xb") as stream:
            stream.truncate(size)


def copy_sparse(source: Path, destination: Path, offset: int = 0) -> None:
    """Copy a file's content into another one, holes excepted, within the kernel where it can.

    Args:
        source: file to read.
        destination: existing file, which must be empty (a hole) where nothing is copied to.
        offset: byte of the destination where the source's first byte goes.

    Raises:
        DiskError: DISK_WRITE_FAILED.
    """
    with explained(destination), source.open("rb") as reading, destination.open("r+b") as writing:
        for begin, end in _extents(reading.fileno()):
            _copy_range(reading.fileno(), writing.fileno(), begin, end, offset)


def copy_part(source: int, start: int, size: int, destination: Path) -> None:
    """Copy a part of a file to the beginning of another one, as `copy_sparse` does.

    Args:
        source: descriptor of the file to read.
        start: byte where the part begins.
        size: bytes of the part.
        destination: existing file, which must be empty (a hole) where nothing is copied to.

    Raises:
        DiskError: DISK_WRITE_FAILED.
    """
    with explained(destination), destination.open("r+b") as writing:
        for begin, end in _extents(source, start, start + size):
            _copy_range(source, writing.fileno(), begin, end, -start)


def _extents(descriptor: int, position: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Give begin and end of every part of a file, or of a part of it, that is not a hole."""
    size = os.fstat(descriptor).st_size if end is None else end
    while position < size:
        try:
            begin = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        if begin >= size:
            return
        position = min(os.lseek(descriptor, begin, os.SEEK_HOLE), size)
        yield begin, position


def _copy_range(source: int, destination: int, begin: int, end: int, offset: int) -> None:
    in_kernel = True
    while begin < end:
        copied = 0
        if in_kernel:
            try:
                copied = os.copy_file_range(source, destination, end - begin, begin, begin + offset)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
            in_kernel = copied > 0
        if not in_kernel:
            chunk = os.pread(source, min(_CHUNK, end - begin), begin)
            copied = os.pwrite(destination, chunk, begin + offset)
            if not copied:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
        begin += copied
