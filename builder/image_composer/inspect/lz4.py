"""LZ4's blocks, as https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md describes them.

Python has no LZ4, and programs that have it want frames. This is slow, a few MiB a second, and enough for the few files
that are looked at.
"""

from __future__ import annotations

_SHORTEST_MATCH = 4
_MORE = 15
"""A length of this value goes on in the bytes that follow."""


def decompress_block(block: bytes, size: int) -> bytes:
    """Decompress a block to exactly so many bytes.

    Raises:
        ValueError: it does not hold them, with the reason.
    """
    out = bytearray()
    at = 0
    try:
        while True:
            token = block[at]
            literals, at = _length(block, at + 1, token >> 4)
            if at + literals > len(block):
                raise ValueError("it ends amid bytes")
            out += block[at : at + literals]
            at += literals
            if at == len(block) or len(out) > size:
                break
            distance = block[at] | block[at + 1] << 8
            matched, at = _length(block, at + 2, token & 15)
            _repeat(out, distance, matched + _SHORTEST_MATCH)
    except IndexError as error:
        raise ValueError("it ends amid a number") from error
    if len(out) != size:
        raise ValueError(f"it holds {len(out)} bytes where {size} should be")
    return bytes(out)


def _length(block: bytes, at: int, first: int) -> tuple[int, int]:
    """Give a length and the place behind it."""
    length = first
    if first == _MORE:
        while block[at] == 0xFF:
            length += 0xFF
            at += 1
        length += block[at]
        at += 1
    return length, at


def _repeat(out: bytearray, distance: int, length: int) -> None:
    """Append bytes that are there already; they may reach into themselves."""
    if not 0 < distance <= len(out):
        raise ValueError("it points before its beginning")
    start = len(out) - distance
    if distance >= length:
        out += out[start : start + length]
    else:
        pattern = bytes(out[start:])
        out += (pattern * (length // distance + 1))[:length]
