"""The store's files: giving them their names safely, listing them, and explaining what the file system refuses."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from image_composer.errors import StoreError
from image_composer.spec.base import format_size

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the store."""

    path: Path
    size: int
    used: float
    """When it was last used, in seconds since 1970."""


def entries(folder: Path, pattern: str) -> list[Entry]:
    """List files, without those that go away meanwhile."""
    found = []
    for path in folder.glob(pattern):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append(Entry(path, status.st_size, status.st_mtime))
    return found


def make_folder(path: Path) -> None:
    """Make a folder that everybody may read, whatever the umask: a sandboxed user reads packages from it."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)


def keep(temporary: Path, path: Path, now: float) -> None:
    """Give a finished file its final name, readable by everybody, after its content has reached the disk.

    The folder is not synced: a power cut may lose the name, which costs a download, never the content under it.
    """
    with temporary.open("rb") as stream:
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())
    make_folder(path.parent)
    os.utime(temporary, (now, now))
    temporary.replace(path)


@contextmanager
def explained(folder: Path, purpose: str, needed: int | None = None) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do.

    Args:
        folder: what the work is about; errors that name a file elsewhere pass unchanged.
        purpose: what it is done for, for messages.
        needed: bytes that the purpose needs.

    Raises:
        StoreError: STORE_DISK_FULL, STORE_UNWRITABLE, STORE_FAILED.
    """
    try:
        yield
    except OSError as error:
        if not _concerns(error, folder):
            raise
        raise _failure(error, folder, purpose, needed) from error


def _concerns(error: OSError, folder: Path) -> bool:
    """Say whether an error is about a folder: it names something in it, or above it, or nothing at all."""
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if name is not None]
    return not names or any(name.is_relative_to(folder) or folder.is_relative_to(name) for name in names)


def _failure(error: OSError, folder: Path, purpose: str, needed: int | None) -> StoreError:
    reason = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if error.errno in FULL:
        size = "" if needed is None else f", which needs {format_size(needed)}"
        message = f"no room in {folder} for {purpose}{size}; {_room(folder)} free"
        return StoreError("STORE_DISK_FULL", message, hint=FULL_HINT)
    if error.errno in REFUSED:
        return StoreError("STORE_UNWRITABLE", f"{folder} can't be written: {reason}", hint=UNWRITABLE_HINT)
    return StoreError("STORE_FAILED", f"{folder} can't be used for {purpose}: {reason}")


FULL_HINT = "free space, lower IMAGE_COMPOSER_CACHE_SIZE_MIB, or put the cache elsewhere: IMAGE_COMPOSER_CACHE_DIR"

UNWRITABLE_HINT = "name a folder that may be written: IMAGE_COMPOSER_CACHE_DIR"


def _room(folder: Path) -> str:
    try:
        return format_size(shutil.disk_usage(folder).free)
    except OSError:
        return "an unknown amount is"
