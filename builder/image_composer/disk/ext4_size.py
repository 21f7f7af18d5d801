"""How large an ext4 must be for its content. Arithmetic on the format: a disk is planned before it is made.

https://docs.kernel.org/filesystems/ext4/ describes the structures that are counted here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from image_composer.disk.rounding import divide_up, round_down, round_up
from image_composer.settings import MIB

BLOCK = 4096
"""Bytes of a block: the page size, which every kernel can mount."""

INODE_SIZE = 256
"""Bytes of an inode: the default since 2008; has room for nanoseconds, years after 2038 and small attributes."""

RESERVED_INODES = 11
"""Inodes 1 to 10 are the file system's own, 11 is lost+found."""

BYTES_PER_INODE = 16384
"""An inode for each so many bytes, mke2fs's own default; groups added when it grows keep the ratio."""

SPARE_INODES = 1024
"""Inodes beyond the content's even on a small file system, beside a fourth more than the content has."""

SHORT_SYMLINK = 59
"""Longest target, in bytes, that is kept in the inode itself."""

_BLOCKS_PER_GROUP = 8 * BLOCK
_INODES_PER_BLOCK = BLOCK // INODE_SIZE
_INODES_PER_GROUP = 8 * BLOCK
_DESCRIPTORS_PER_BLOCK = BLOCK // 64
_RESERVED_GROWTH = 1024
"""mke2fs leaves room for the descriptors of a file system this many times as large."""
_LARGEST_GROWTH = 2**32 - 1
"""Blocks beyond which mke2fs leaves no more room for descriptors."""
_SMALLEST_LAST_GROUP = 50
"""Blocks that the last group must have beyond its own tables; mke2fs drops a smaller one."""

_FIRST_FILES = 6
"""Blocks of the top folder, of lost+found (4) and of the map of the blocks kept for growing."""

_INODE_XATTR_ROOM = INODE_SIZE - 128 - 32 - 4
"""Bytes for attributes in an inode after its fixed part, its extra fields and the attributes' magic number."""
_DIRECTORY_ENTRY_MAXIMUM = 264
"""Bytes of an entry with a name of 255: what can be left over at the end of a folder's block."""
_DIRECTORY_TAIL = 12
"""Bytes of the checksum at the end of a folder's block."""

_FIXED_MARGIN = 4 * MIB // BLOCK
"""Blocks for what depends on where things come to lie: a group more, a copy of the superblock more."""
_MARGIN_SHARE = 64
"""One block for so many of content, for the extent trees of files that don't lie in one piece."""


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """What a tree of files takes up in an ext4."""

    blocks: int
    """Blocks of content, folders, long symlinks and attributes."""

    inodes: int
    """Files, folders and all the rest; several names of one file count once."""


def file_blocks(size: int) -> int:
    """Give the blocks of a regular file. Holes count: what is a hole depends on where the file was written."""
    return divide_up(size, BLOCK)


def symlink_blocks(target_length: int) -> int:
    """Give the blocks of a symlink beyond its inode."""
    return 0 if target_length <= SHORT_SYMLINK else 1


def directory_blocks(name_lengths: Iterable[int]) -> int:
    """Give the most blocks that a folder with these names (in bytes) can take."""
    entries = 24 + sum(8 + round_up(length, 4) for length in name_lengths)
    if entries <= BLOCK - _DIRECTORY_TAIL:
        return 1
    return divide_up(entries, BLOCK - _DIRECTORY_TAIL - _DIRECTORY_ENTRY_MAXIMUM)


def xattr_blocks(attributes: Iterable[tuple[str, int]]) -> int:
    """Give the blocks of extended attributes, given as name and length of the value."""
    room = sum(
        16 + round_up(len(name.partition(".")[2].encode()), 4) + round_up(length, 4) for name, length in attributes
    )
    return 0 if room <= _INODE_XATTR_ROOM else 1


def journal_size(size: int) -> int:
    """Give the bytes of the journal: a sixty-fourth of the file system, from 4 to 64 MiB.

    mke2fs takes the same at 1 and 4 GiB, but in steps, which would let a larger partition hold less.
    """
    return min(max(round_down(size // 64, MIB), 4 * MIB), 64 * MIB)


def inode_count(size: int, used: int) -> int:
    """Give the number of inodes that a file system is made with.

    Args:
        size: bytes of the file system.
        used: inodes of its content.
    """
    return max(size // BYTES_PER_INODE, RESERVED_INODES + used + used // 4 + SPARE_INODES)


def capacity(size: int, used_inodes: int) -> int:
    """Give the blocks that content has in a new file system; negative when it can't even hold its own tables.

    Args:
        size: bytes of the file system.
        used_inodes: inodes of its content, which decide about the size of the inode tables.
    """
    blocks = size // BLOCK
    groups = divide_up(blocks, _BLOCKS_PER_GROUP)
    descriptors = _descriptor_blocks(blocks, groups)
    tables = _table_blocks(inode_count(size, used_inodes), groups)
    last = blocks - (groups - 1) * _BLOCKS_PER_GROUP
    last_needs = tables + (1 + descriptors if _holds_superblock(groups - 1) else 0) + _SMALLEST_LAST_GROUP
    if groups > 1 and last < last_needs:
        blocks, groups = blocks - last, groups - 1
        tables = _table_blocks(inode_count(size, used_inodes), groups)
    if tables > _INODES_PER_GROUP // _INODES_PER_BLOCK:
        return -1
    copies = sum(1 for group in range(groups) if _holds_superblock(group))
    used = copies * (1 + descriptors) + groups * tables + journal_size(size) // BLOCK + _FIRST_FILES
    return blocks - used


def size_needed(usage: TreeUsage) -> int:
    """Give the least bytes, in whole MiB, of an ext4 that surely holds a tree, with its journal and tables."""
    wanted = usage.blocks + usage.blocks // _MARGIN_SHARE + _FIXED_MARGIN
    size = round_up(wanted * BLOCK, MIB)
    while (missing := wanted - capacity(size, usage.inodes)) > 0:
        size += round_up(missing * BLOCK, MIB)
    return size


def _table_blocks(inodes: int, groups: int) -> int:
    """Give the blocks of a group's two bitmaps and its inodes."""
    per_group = round_up(divide_up(inodes, groups), _INODES_PER_BLOCK)
    return 2 + per_group // _INODES_PER_BLOCK


def _descriptor_blocks(blocks: int, groups: int) -> int:
    """Give the blocks of the group descriptors with those kept free for growing."""
    largest = min(blocks * _RESERVED_GROWTH, _LARGEST_GROWTH)
    used = divide_up(groups, _DESCRIPTORS_PER_BLOCK)
    reserved = divide_up(divide_up(largest, _BLOCKS_PER_GROUP), _DESCRIPTORS_PER_BLOCK) - used
    return used + min(max(reserved, 0), BLOCK // 4)


def _holds_superblock(group: int) -> bool:
    """Say whether a group holds a copy of the superblock: 0, 1 and the powers of 3, 5 and 7."""
    if group <= 1:
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False
