from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.inspect.lz4 import decompress_block

LONG = bytes([0xF0, 255, 5]) + bytes(range(256)) + bytes(19)


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (b"\x00", b""),
        (b"\x50hello", b"hello"),
        (b"\x31abc\x03\x00\x00", b"abcabcab"),
        (b"\x10a\x01\x00\x00", b"aaaaa"),
        (b"\x1fa\x01\x00\xff\x03\x10b", b"a" * (1 + 4 + 15 + 255 + 3) + b"b"),
        (LONG, bytes(range(256)) + bytes(19)),
    ],
)
def test_what_the_format_s_description_says(block: bytes, content: bytes) -> None:
    assert decompress_block(block, len(content)) == content


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"", "ends amid a number"),
        (b"\x50hell", "ends amid bytes"),
        (b"\xf0\xff\xff", "ends amid a number"),
        (b"\x10a\x01", "ends amid a number"),
        (b"\x10a\x02\x00\x00", "before its beginning"),
        (b"\x10a\x00\x00\x00", "before its beginning"),
        (b"\x40hell", "4 bytes where 5"),
        (b"\x60hello!", "6 bytes where 5"),
    ],
)
def test_a_damaged_block_is_refused(block: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decompress_block(block, 5)


@given(st.binary(max_size=200), st.integers(0, 1000))
def test_whatever_a_block_holds_it_gives_so_many_bytes_or_none(block: bytes, size: int) -> None:
    with suppress(ValueError):
        assert len(decompress_block(block, size)) == size
