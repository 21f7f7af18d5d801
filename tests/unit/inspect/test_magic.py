from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.inspect.magic import container, filesystem


@pytest.mark.parametrize(
    ("offset", "magic", "name"),
    [
        (82, b"FAT32   ", "vfat"),
        (54, b"FAT16   ", "vfat"),
        (54, b"FAT12   ", "vfat"),
        (1080, b"\x53\xef", "ext4"),
        (0, b"hsqs", "squashfs"),
        (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
        (0, b"verity\0\0", "verity"),
        (65600, b"_BHRfS_M", "btrfs"),
    ],
)
def test_a_file_system_is_known_by_its_magic(offset: int, magic: bytes, name: str) -> None:
    assert filesystem(bytes(offset) + magic) == name


@given(st.binary(max_size=64))
def test_a_short_file_can_be_looked_at(head: bytes) -> None:
    container(head)
    filesystem(head)
