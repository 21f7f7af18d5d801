"""Writes cpio archives as the kernel unpacks them for its initramfs: the "newc" format, equal trees to equal bytes.

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html

Standard library only: it runs inside the sandbox too.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

ALIGNMENT = 4
"""Headers and contents begin at multiples of it, and so must an archive behind another one."""

BLOCK = 512
"""Archives are padded to it, as cpio does."""

TRAILER = "TRAILER!!!"
"""Name of the entry that ends an archive."""

LARGEST_FILE = 2**32 - 1
"""Sizes have 32 bits."""


def write_cpio(tree: Path, stream: BinaryIO) -> None:
    """Write folders, files and links below a folder, in the order of their paths.

    All belong to root and have no time. A file with several names is written several times.

    Args:
        tree: folder; it is not an entry itself.
        stream: what is written to, from its beginning.

    Raises:
        ValueError: something is neither folder, file nor link, or too large.
    """
    written = 0
    for number, (name, path) in enumerate(_entries(tree), start=1):
        written += _write_entry(name, path, number, stream)
    written += _write(stream, header(TRAILER, mode=0, inode=0, size=0, links=1))
    stream.write(b"\0" * (-written % BLOCK))


def header(name: str, *, mode: int, inode: int, size: int, links: int) -> bytes:
    """Give what comes before the content of an entry: 13 numbers in hex and the name, padded."""
    encoded = os.fsencode(name) + b"\0"
    # inode, mode, uid, gid, links, time, size, device, device of a node, length of the name, checksum
    numbers = (inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(encoded), 0)
    return _padded(b"070701" + b"".join(b"%08X" % number for number in numbers) + encoded)


def _entries(tree: Path, below: str = "") -> Iterator[tuple[str, Path]]:
    """Give name and path of all entries, each folder before what it holds."""
    with os.scandir(tree) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{below}{entry.name}"
        yield name, Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), f"{name}/")


def _write_entry(name: str, path: Path, inode: int, stream: BinaryIO) -> int:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(path.readlink())
        return _write(stream, header(name, mode=status.st_mode, inode=inode, size=len(target), links=1), target)
    if stat.S_ISDIR(status.st_mode):
        return _write(stream, header(name, mode=status.st_mode, inode=inode, size=0, links=2))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{name} is neither a folder, a file nor a link")
    if status.st_size > LARGEST_FILE:
        raise ValueError(f"{name} is larger than the 4 GiB that the archive has room for")
    written = _write(stream, header(name, mode=status.st_mode, inode=inode, size=status.st_size, links=1))
    with path.open("rb") as content:
        shutil.copyfileobj(content, stream)
    padding = b"\0" * (-status.st_size % ALIGNMENT)
    stream.write(padding)
    return written + status.st_size + len(padding)


def _write(stream: BinaryIO, *parts: bytes) -> int:
    """Write something, padded, and give how much it was."""
    padded = b"".join(map(_padded, parts))
    stream.write(padded)
    return len(padded)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % ALIGNMENT)
