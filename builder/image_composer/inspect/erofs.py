"""Reads files of an erofs inside an image.

Of erofs-utils 1.5, only fsck.erofs gives what is in files, and it extracts them all, to wherever their names lead, and
devices too. So this reads the format itself (Linux, fs/erofs/erofs_fs.h), as far as `disk/readonly.py` uses it.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath

from image_composer.errors import InspectError
from image_composer.inspect.erofs_index import CLUSTER, index_size, parts
from image_composer.inspect.files import LARGEST_FILE, Entry, Files, Kind
from image_composer.inspect.lz4 import decompress_block
from image_composer.inspect.raw import corrupted, unsupported
from image_composer.inspect.tree import Node
from image_composer.settings import MIB

_BLOCK = CLUSTER

_SUPERBLOCK = struct.Struct("<4s8xBxH24xI36xI")
"""At byte 1024: magic, log2 of the block's size, number of the top folder's inode, block of the inodes, features."""

_MAGIC = b"\xe2\xe1\xf5\xe0"
_PADDED_IN_FRONT = 1
"""The only feature that is known: what is compressed lies at its block's end."""

_DEEPEST = 128
"""Folders in folders; a loop of folders, which only a broken file system has, ends there."""

_SLOT = 32
"""Bytes; an inode's number is its place in these."""

_SHORT_INODE, _LONG_INODE = struct.Struct("<HHH2xI4xI4xHH4x"), struct.Struct("<HHH2xQI4xII32x")
"""Format, attributes, mode, size, block, user, group."""

_ATTRIBUTES_HEAD, _ATTRIBUTE = 12, 4
"""Bytes of extended attributes: of their head, which counts as one, and of each further one."""

_INDEX_HEAD = struct.Struct("<4xHBB")
"""Before a compressed file's index: advice, algorithm, size of clusters."""

_SMALL_PACKS = 1
"""The only advice that is known."""

_ENTRY = struct.Struct("<QH2x")
"""Of a folder: number of an inode, place of its name in the block."""

_FILE_TYPES = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


class _Layout(IntEnum):
    """How the content of an inode is stored."""

    PLAIN = 0
    TAIL_INLINE = 2
    """As PLAIN, but for the last block, which follows the inode."""

    COMPRESSED = 3


@dataclass(frozen=True, slots=True)
class _Inode:
    layout: int
    mode: int
    size: int
    block: int
    uid: int
    gid: int
    end: int
    """Byte of the file system where it ends, with its extended attributes."""


@dataclass(frozen=True, slots=True)
class _Superblock:
    top: int
    """Number of the top folder's inode."""

    inodes: int
    """Byte where they are counted from."""


@dataclass(frozen=True, slots=True)
class Erofs(Files):
    """See `Files`."""

    cheap = MIB  # decompressed by us, at some MiB a second

    def _tree(self) -> dict[str, Node]:
        superblock, found = self._superblock(), {}
        folders = [("", superblock.top)]
        while folders:
            folder, number = folders.pop()
            for name, below in self._folder(self._inode(superblock, number)):
                if name in (b".", b".."):
                    continue
                inode, path = self._inode(superblock, below), f"{folder}/{name.decode('utf-8', 'surrogateescape')}"
                if path.count("/") > _DEEPEST:
                    raise self._damaged("it has folders without end")
                found[path] = Node(below, inode.mode, inode.uid, inode.gid, inode.size)
                if stat.S_ISDIR(inode.mode):
                    folders.append((path, below))
        return found

    def _contents(self, files: Mapping[str, Node]) -> dict[str, bytes]:
        superblock = self._superblock()
        return {path: self._data(self._inode(superblock, node.inode)) for path, node in files.items()}

    def _entry(self, path: PurePosixPath) -> Entry | None:
        inode = self._find(path)
        if inode is None:
            return None
        kind = _FILE_TYPES.get(stat.S_IFMT(inode.mode), Kind.OTHER)
        target = self._data(inode).decode("utf-8", "replace") if kind is Kind.LINK else ""
        return Entry(kind, inode.size, target)

    def _content(self, path: PurePosixPath) -> bytes:
        inode = self._find(path)
        return self._data(inode) if inode else b""

    def _names(self, path: PurePosixPath) -> list[str]:
        inode = self._find(path)
        names = [name for name, _ in self._folder(inode)] if inode else []
        return [name.decode("utf-8", "replace") for name in names if name not in (b".", b"..")]

    def _find(self, path: PurePosixPath) -> _Inode | None:
        """Give the inode at a path on which there are no links."""
        superblock = self._superblock()
        inode = self._inode(superblock, superblock.top)
        for part in path.parts[1:]:
            if not stat.S_ISDIR(inode.mode):
                return None
            number = next((number for name, number in self._folder(inode) if name == part.encode()), None)
            if number is None:
                return None
            inode = self._inode(superblock, number)
        return inode

    def _superblock(self) -> _Superblock:
        magic, block_bits, top, first, features = _SUPERBLOCK.unpack(self._bytes(1024, _SUPERBLOCK.size))
        if magic != _MAGIC:
            raise self._damaged("it has no superblock")
        if 1 << block_bits != _BLOCK or features & ~_PADDED_IN_FRONT:
            raise unsupported(self.image.path, f"an erofs with blocks of 2^{block_bits} bytes, features {features:#x}")
        return _Superblock(top, first * _BLOCK)

    def _inode(self, superblock: _Superblock, number: int) -> _Inode:
        place = superblock.inodes + number * _SLOT
        [form] = struct.unpack("<H", self._bytes(place, 2))
        shape = _LONG_INODE if form & 1 else _SHORT_INODE
        _, attributes, mode, size, block, uid, gid = shape.unpack(self._bytes(place, shape.size))
        more = _ATTRIBUTES_HEAD + (attributes - 1) * _ATTRIBUTE if attributes else 0
        return _Inode(form >> 1 & 7, mode, size, block, uid, gid, place + shape.size + more)

    def _folder(self, inode: _Inode) -> Iterator[tuple[bytes, int]]:
        """Give the names in a folder and the numbers of their inodes."""
        content = self._data(inode)
        for start in range(0, len(content), _BLOCK):
            block = content[start : start + _BLOCK]
            first = _ENTRY.unpack_from(block)[1] if len(block) >= _ENTRY.size else 0
            if first % _ENTRY.size or not 0 < first <= len(block):
                raise self._damaged("a folder in it is no folder")
            entries = list(_ENTRY.iter_unpack(block[:first]))
            ends = [place for _, place in entries[1:]] + [len(block)]
            for (number, place), end in zip(entries, ends, strict=True):
                yield block[place:end].partition(b"\0")[0], number

    def _data(self, inode: _Inode) -> bytes:
        if inode.size > LARGEST_FILE:
            raise self._damaged("something in it is impossibly large")
        if inode.size == 0:
            return b""
        if inode.layout == _Layout.PLAIN:
            return self._bytes(inode.block * _BLOCK, inode.size)
        if inode.layout == _Layout.TAIL_INLINE:
            whole = (inode.size - 1) // _BLOCK * _BLOCK
            before = self._bytes(inode.block * _BLOCK, whole) if whole else b""  # without it the block is none
            return before + self._bytes(inode.end, inode.size - whole)
        if inode.layout == _Layout.COMPRESSED:
            return self._decompressed(inode)
        raise unsupported(self.image.path, f"an erofs with content stored in the form {inode.layout}")

    def _decompressed(self, inode: _Inode) -> bytes:
        head = -(-inode.end // _INDEX_HEAD.size) * _INDEX_HEAD.size
        advice, algorithm, cluster = _INDEX_HEAD.unpack(self._bytes(head, _INDEX_HEAD.size))
        if advice & ~_SMALL_PACKS or algorithm or cluster:
            raise unsupported(self.image.path, f"an erofs with algorithm {algorithm:#x}, advice {advice:#x}")
        place, small = head + _INDEX_HEAD.size, bool(advice & _SMALL_PACKS)
        index = self._bytes(place, index_size(place, inode.size, small=small))
        content = bytearray()
        try:
            for part in parts(index, place, inode.size, small=small):
                block = self._bytes(part.block * _BLOCK, _BLOCK)
                if part.compressed:
                    content += decompress_block(block.lstrip(b"\0"), part.size)
                else:
                    content += block[: part.size]
        except ValueError as error:
            raise self._damaged(f"a compressed file: {error}") from error
        return bytes(content)

    def _bytes(self, place: int, size: int) -> bytes:
        if self.offset + place + size > self.image.size:
            raise self._damaged("it points beyond the image's end")
        return self.image.read(self.offset + place, size)

    def _damaged(self, reason: str) -> InspectError:
        return corrupted(self.image.path, f"the file system at byte {self.offset} can't be read: {reason}")
