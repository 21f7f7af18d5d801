"""Counts what a tree of files will take up in a file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from image_composer.disk.ext4_size import (
    TreeUsage,
    directory_blocks,
    file_blocks,
    symlink_blocks,
    xattr_blocks,
)
from image_composer.errors import DiskError


def measure_tree(tree: Path) -> TreeUsage:
    """Count the blocks and inodes that a tree takes up in an ext4; the same on whatever file system it lies.

    Raises:
        DiskError: DISK_TREE_UNREADABLE.
    """
    blocks = 0
    seen: set[tuple[int, int]] = set()
    try:
        for path, info, names in _entries(tree):
            key = (info.st_dev, info.st_ino)
            if key in seen:
                continue
            seen.add(key)
            blocks += _entry_blocks(path, info, names)
    except OSError as error:
        raise DiskError("DISK_TREE_UNREADABLE", f"{error.filename or tree} can't be read: {error.strerror}") from error
    return TreeUsage(blocks, len(seen))


def _entries(tree: Path) -> Iterator[tuple[str, os.stat_result, list[str]]]:
    """Give every entry below and including a folder, with the names that it holds if it is one."""
    waiting = [str(tree)]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as listing:
            entries = list(listing)
        yield folder, Path(folder).lstat(), [entry.name for entry in entries]
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry.path, entry.stat(follow_symlinks=False), []


def _entry_blocks(path: str, info: os.stat_result, names: list[str]) -> int:
    attributes = [
        (name, len(os.getxattr(path, name, follow_symlinks=False)))
        for name in os.listxattr(path, follow_symlinks=False)
    ]
    blocks = xattr_blocks(attributes)
    if stat.S_ISDIR(info.st_mode):
        return blocks + directory_blocks(len(os.fsencode(name)) for name in names)
    if stat.S_ISREG(info.st_mode):
        return blocks + file_blocks(info.st_size)
    if stat.S_ISLNK(info.st_mode):
        return blocks + symlink_blocks(info.st_size)
    return blocks
