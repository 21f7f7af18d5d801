from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from image_composer.verify.gpt import table_problems
from support.disks import say

SECTOR = 512
SIZE = 16 << 20
ENTRY = struct.Struct("<16s16sQQ")
ENTRIES_SIZE = 128 * 128

TABLE = """\
label: gpt
first-lba: 2048
start=2048, size=8192, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, name=ESP
start=10240, size=8192, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root
"""


class Disk:
    """A disk with a table made by sfdisk, that can be changed as no tool would."""

    def __init__(self, path: Path) -> None:
        with path.open("wb") as stream:
            stream.truncate(SIZE)
        script = path.with_suffix(".script")
        script.write_text(TABLE)
        say("sh", "-c", f"sfdisk -q {path} <{script}")
        self.content = bytearray(path.read_bytes())

    def problems(self) -> list[str]:
        return table_problems(lambda offset, size: bytes(self.content[offset : offset + size]), len(self.content))

    def move(self, number: int, first: int, last: int) -> None:
        """Give a partition another place in both copies, with the checksums that belong to it."""
        for header, entries in ((SECTOR, 2 * SECTOR), (SIZE - SECTOR, SIZE - SECTOR - ENTRIES_SIZE)):
            at = entries + (number - 1) * 128 + 32
            self.content[at : at + 16] = struct.pack("<QQ", first, last)
            sums = zlib.crc32(self.content[entries : entries + ENTRIES_SIZE])
            self.content[header + 88 : header + 92] = struct.pack("<I", sums)
            self.seal(header)

    def seal(self, header: int) -> None:
        self.content[header + 16 : header + 20] = bytes(4)
        checksum = zlib.crc32(self.content[header : header + 92])
        self.content[header + 16 : header + 20] = struct.pack("<I", checksum)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "disk.raw")


def test_a_table_of_sfdisk_is_in_order(disk: Disk) -> None:
    assert disk.problems() == []


def no_mbr(disk: Disk) -> None:
    disk.content[510:512] = b"\0\0"


def no_protection(disk: Disk) -> None:
    disk.content[450] = 0x83


def no_first_copy(disk: Disk) -> None:
    disk.content[SECTOR : SECTOR + 8] = bytes(8)


def a_flipped_bit(disk: Disk) -> None:
    disk.content[SECTOR + 40] ^= 1


def a_flipped_bit_in_the_entries(disk: Disk) -> None:
    disk.content[SIZE - SECTOR - ENTRIES_SIZE + 40] ^= 1


def another_disk_in_the_copy(disk: Disk) -> None:
    disk.content[SIZE - SECTOR + 56] ^= 1
    disk.seal(SIZE - SECTOR)


def a_larger_disk(disk: Disk) -> None:
    disk.content += bytes(1 << 20)


def an_overlap(disk: Disk) -> None:
    disk.move(2, 8192, 18431)


def an_end_outside(disk: Disk) -> None:
    disk.move(2, 10240, 99999)


def an_end_before_the_beginning(disk: Disk) -> None:
    disk.move(2, 18432, 10240)


def a_crooked_beginning(disk: Disk) -> None:
    disk.move(2, 10241, 18431)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_mbr, ["the disk has no protective MBR"]),
        (no_protection, ["its MBR has no protective partition"]),
        (no_first_copy, ["the first copy of the table is missing"]),
        (a_flipped_bit, ["the first copy of the table has a wrong checksum"]),
        (a_flipped_bit_in_the_entries, ["the second copy of the table has entries with a wrong checksum"]),
        (another_disk_in_the_copy, ["the two copies of the table are not the same"]),
        (a_larger_disk, ["the second copy of the table is missing"]),
        (an_overlap, ["the partitions ESP and root overlap"]),
        (an_end_outside, ["the partition root ends before it begins, or lies outside of the room for partitions"]),
        (
            an_end_before_the_beginning,
            ["the partition root ends before it begins, or lies outside of the room for partitions"],
        ),
        (a_crooked_beginning, ["the partition root does not begin at a whole MiB"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_fault_of_a_table_is_told(disk: Disk, damage: Callable[[Disk], None], said: list[str]) -> None:
    damage(disk)
    assert disk.problems() == said


def test_a_disk_without_anything_on_it_is_read_to_its_end_and_no_further(disk: Disk) -> None:
    disk.content = bytearray(SIZE)
    assert "the first copy of the table is missing" in disk.problems()
    disk.content = bytearray(SECTOR)
    assert disk.problems()
