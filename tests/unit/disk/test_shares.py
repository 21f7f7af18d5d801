from __future__ import annotations

import pytest

from image_composer.disk.shares import with_whole_sizes
from image_composer.settings import GIB, MIB
from image_composer.spec.disk import Filesystem, Partition, PartitionType


@pytest.mark.parametrize(
    ("size", "disk", "whole"),
    [
        ("25%", 4 * GIB, "1GiB"),
        ("10%", 1000 * MIB, "100MiB"),
        ("33%", 100 * MIB + 1, "33MiB"),
        ("99%", MIB + 1, "1MiB"),
        ("1%", 10 * MIB, "1MiB"),
        ("512KiB", 4 * GIB, "512KiB"),
        (None, None, None),
    ],
)
def test_a_share_is_a_whole_number_of_mebibytes_of_the_disk(
    size: str | None, disk: int | None, whole: str | None
) -> None:
    partition = Partition(label="x", type=PartitionType.LINUX, filesystem=Filesystem.EXT4, size=size)
    assert [found.size for found in with_whole_sizes([partition], disk)] == [whole]
