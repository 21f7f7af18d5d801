"""Where the parts of a compressed file of an erofs are: its compact index (Linux, fs/erofs/zmap.c).

A file is cut into clusters of 4 KiB as it is read. Compressed, it is a row of blocks of 4 KiB, each of which holds the
bytes from one place of the file to the next such place. For each cluster the index says whether such a place is in it.
Its entries are packed, 16 in 32 bytes or 2 in 8 bytes, and a pack ends with the number before that of its first block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

CLUSTER = 4096
"""Bytes of a cluster, and of a block."""

_PLACE_BITS = 12
_PLAIN, _COMPRESSED, _WITHIN = 0, 1, 2
"""Kinds of clusters: a part begins here that is stored as it is; one that is compressed; no part begins here."""

_SMALL, _LARGE = 16, 2
"""Entries in a pack of 32 bytes, and in one of 8 bytes."""

_LARGE_SIZE = 4
"""Bytes that an entry takes in a pack of 8 bytes; half as many in the other."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file's bytes."""

    start: int
    """The first of them in the file."""

    size: int
    block: int
    """Number of the block that holds them."""

    compressed: bool


@dataclass(frozen=True, slots=True)
class _Pack:
    """Entries that lie together."""

    start: int
    """Byte of the index."""

    entries: int

    @property
    def size(self) -> int:
        return self.entries * (2 if self.entries == _SMALL else _LARGE_SIZE)


def index_size(place: int, size: int, *, small: bool) -> int:
    """Give the bytes of a file's index; see `parts`."""
    packs = _packs(place, _clusters(size), small=small)
    return packs[-1].start + packs[-1].size if packs else 0


def parts(index: bytes, place: int, size: int, *, small: bool) -> list[Part]:
    """Read a file's index.

    Args:
        index: the bytes.
        place: byte of the file system where it begins, which decides about the packs.
        size: bytes of the file.
        small: whether there are packs of 16 entries.

    Raises:
        ValueError: it is damaged, with the reason.
    """
    clusters = _clusters(size)
    entries = [entry for pack in _packs(place, clusters, small=small) for entry in _entries(index, pack)]
    begun: list[Part] = []
    for number, (kind, within, block) in enumerate(entries[:clusters]):
        if kind == _WITHIN:
            continue
        if kind not in (_PLAIN, _COMPRESSED):
            raise ValueError("it has a kind of part that is not known")
        if number * CLUSTER + within != size:  # mkfs.erofs marks a file's end as if one more began there
            begun.append(Part(number * CLUSTER + within, 0, block, kind == _COMPRESSED))
    starts = [part.start for part in begun] + [size]
    if starts[0] != 0 or any(start >= end for start, end in pairwise(starts)):
        raise ValueError("its parts don't follow one another")
    return [
        Part(part.start, end - start, part.block, part.compressed)
        for part, (start, end) in zip(begun, pairwise(starts), strict=True)
    ]


def _clusters(size: int) -> int:
    return -(-size // CLUSTER)


def _packs(place: int, clusters: int, *, small: bool) -> Sequence[_Pack]:
    """Lay the packs out: large ones up to a multiple of 32 bytes, small ones, and large ones for what is left."""
    before = min(-place % 32 // _LARGE_SIZE, clusters) if small else clusters
    amid = (clusters - before) // _SMALL * _SMALL
    packs: list[_Pack] = []
    for entries, count in ((_LARGE, before), (_SMALL, amid), (_LARGE, clusters - before - amid)):
        for _ in range(0, count, entries):
            packs.append(_Pack(packs[-1].start + packs[-1].size if packs else 0, entries))
    return packs


def _entries(index: bytes, pack: _Pack) -> Iterator[tuple[int, int, int]]:
    """Give kind, place in its cluster, and block of each entry of a pack."""
    content = index[pack.start : pack.start + pack.size]
    [block] = struct.unpack("<I", content[-4:])
    numbers = int.from_bytes(content[:-4], "little")
    bits = (pack.size - 4) * 8 // pack.entries
    for number in range(pack.entries):
        entry = numbers >> bits * number
        kind = entry >> _PLACE_BITS & 3
        if kind != _WITHIN:
            block += 1
        yield kind, entry & (CLUSTER - 1), block
