"""Holds a file system against its dm-verity hashes, as the kernel does block by block.

Counted here and not by veritysetup, which made them: a second opinion, and one that needs no copy of the partitions.
https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

Read = Callable[[int, int], bytes]
"""Gives bytes of a partition: offset, size."""

_SUPERBLOCK = struct.Struct("<8sII16s32sIIQH6x256s")
_BATCH = 2048
"""Blocks that a thread takes at once: 8 MiB."""


class VerityFaultError(ValueError):
    """The data doesn't fit the hashes, or there are none."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the hashes' partition says of itself."""

    algorithm: str
    data_block: int
    hash_block: int
    data_blocks: int
    salt: bytes


def read_superblock(read: Read) -> Superblock:
    """Read it.

    Raises:
        VerityFaultError: there is none, or one of another kind than ours.
    """
    content = read(0, _SUPERBLOCK.size)
    if len(content) < _SUPERBLOCK.size or content[:8] != b"verity\0\0":
        raise VerityFaultError("there are no hashes")
    _, version, kind, _, algorithm, data_block, hash_block, count, salt_size, salt = _SUPERBLOCK.unpack(content)
    name = algorithm.rstrip(b"\0").decode("ascii", "replace")
    if (version, kind, name) != (1, 1, "sha256") or {data_block, hash_block} != {4096} or not 0 < count < 1 << 40:
        raise VerityFaultError("the hashes are not of a kind that is made here")
    return Superblock(name, data_block, hash_block, count, salt[:salt_size])


def root_hash(data: Read, hashes: Read, *, jobs: int = 1) -> str:
    """Give the root hash, counted anew from the data, once every stored hash was found to be right.

    Args:
        data: reads the partition with the file system.
        hashes: reads the partition with its hashes.
        jobs: threads.

    Raises:
        VerityFaultError: something doesn't fit; says what.
    """
    superblock = read_superblock(hashes)
    level = _data_hashes(data, superblock, jobs)
    for place, size in _levels(superblock):
        stored = hashes(place * superblock.hash_block, size * superblock.hash_block)
        blocks = _packed(level, superblock.hash_block)
        if stored != b"".join(blocks):
            raise VerityFaultError(_difference(stored, blocks, superblock))
        level = _hash_all(blocks, superblock)
    return level[0].hex()


def _levels(superblock: Superblock) -> list[tuple[int, int]]:
    """Give place and size in blocks of each level, the lowest first; on disk the highest comes first."""
    each = superblock.hash_block // hashlib.sha256().digest_size
    sizes, count = [], superblock.data_blocks
    while count > 1:
        count = -(-count // each)
        sizes.append(count)
    place, levels = 1, []  # behind the superblock
    for size in reversed(sizes):
        levels.append((place, size))
        place += size
    return levels[::-1]


def _data_hashes(data: Read, superblock: Superblock, jobs: int) -> list[bytes]:
    empty = bytes(superblock.data_block)
    hash_of_empty = _hash_all([empty], superblock)[0]

    def batch(start: int) -> list[bytes]:
        count = min(_BATCH, superblock.data_blocks - start)
        content = data(start * superblock.data_block, count * superblock.data_block)
        if len(content) != count * superblock.data_block:
            raise VerityFaultError("the data ends before its hashes do")
        blocks = [content[at : at + superblock.data_block] for at in range(0, len(content), superblock.data_block)]
        if not any(block != empty for block in blocks):
            return [hash_of_empty] * count
        return _hash_all(blocks, superblock)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        batches = pool.map(batch, range(0, superblock.data_blocks, _BATCH))
        return [digest for found in batches for digest in found]


def _hash_all(blocks: Sequence[bytes], superblock: Superblock) -> list[bytes]:
    salted = hashlib.sha256(superblock.salt)
    digests = []
    for block in blocks:
        counted = salted.copy()
        counted.update(block)
        digests.append(counted.digest())
    return digests


def _packed(digests: Sequence[bytes], block: int) -> list[bytes]:
    each = block // len(digests[0])
    return [b"".join(digests[at : at + each]).ljust(block, b"\0") for at in range(0, len(digests), each)]


def _difference(stored: bytes, blocks: Sequence[bytes], superblock: Superblock) -> str:
    """Say which block of the data, or of the hashes, is not what it was."""
    counted, size = b"".join(blocks), hashlib.sha256().digest_size
    wrong = [at // size for at in range(0, len(counted), size) if stored[at : at + size] != counted[at : at + size]]
    if len(blocks) * (superblock.hash_block // size) < superblock.data_blocks or not wrong:
        return "the hashes don't fit each other"
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"block {wrong[0]}{more} of the data does not fit its hash"
