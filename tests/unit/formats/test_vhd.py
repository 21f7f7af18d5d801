"""Each field of the footer by the "Virtual Hard Disk Image Format Specification", version 1.0, and as QEMU reads it."""

import json
from pathlib import Path

import pytest

from image_composer.disk.sparse import create_sparse
from image_composer.formats.base import Stamp
from image_composer.formats.vhd import DiskType, fixed_disk_size, footer, write_vhd, write_vhd_dynamic
from image_composer.run import Runner
from image_composer.settings import MIB
from support.disks import EPOCH, IDENTITY, say

STAMP = Stamp(IDENTITY, EPOCH)

FIELDS = {
    "cookie": (0, 8),
    "features": (8, 4),
    "format version": (12, 4),
    "data offset": (16, 8),
    "time stamp": (24, 4),
    "creator application": (28, 4),
    "creator version": (32, 4),
    "creator host": (36, 4),
    "original size": (40, 8),
    "current size": (48, 8),
    "cylinders": (56, 2),
    "heads": (58, 1),
    "sectors": (59, 1),
    "disk type": (60, 4),
    "checksum": (64, 4),
    "unique id": (68, 16),
    "saved state": (84, 1),
    "reserved": (85, 427),
}
"""Offset and size of each field, from the specification's table."""


def disk(folder: Path, size: int) -> Path:
    raw = folder / "disk.raw"
    create_sparse(raw, size)
    with raw.open("r+b") as stream:
        stream.write(b"boot")
    return raw


def fields(block: bytes) -> dict[str, bytes]:
    return {name: block[offset : offset + size] for name, (offset, size) in FIELDS.items()}


def number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def checksum(block: bytes) -> int:
    """Give the specification's checksum: the one's complement of the sum of all bytes but the checksum's own."""
    return (sum(block[:64]) + sum(block[68:])) ^ 0xFFFFFFFF


def test_the_footer_has_the_fields_of_the_specification(tmp_path: Path) -> None:
    vhd = tmp_path / "edge.vhd"
    write_vhd(disk(tmp_path, 3 * MIB), vhd, STAMP, tools=Runner())
    assert vhd.stat().st_size == 3 * MIB + 512
    block = vhd.read_bytes()[-512:]
    found = fields(block)
    assert found["cookie"] == b"conectix"
    assert number(found["features"]) == 2
    assert number(found["format version"]) == 0x00010000
    assert number(found["data offset"]) == 0xFFFFFFFFFFFFFFFF
    assert number(found["time stamp"]) == EPOCH - 946_684_800  # seconds of 2000-01-01T00:00:00Z
    assert found["creator application"] == b"imgc"
    assert found["creator host"] == b"Wi2k"
    assert number(found["original size"]) == number(found["current size"]) == 3 * MIB
    assert (number(found["cylinders"]), number(found["heads"]), number(found["sectors"])) == (65535, 16, 255)
    assert number(found["disk type"]) == 2
    assert number(found["checksum"]) == checksum(block)
    assert found["unique id"] == IDENTITY.uuid("vhd").bytes
    assert not any(found["saved state"] + found["reserved"])


def test_a_dynamic_disk_has_the_footer_at_both_ends(tmp_path: Path) -> None:
    vhd = tmp_path / "edge.vhd"
    write_vhd_dynamic(disk(tmp_path, 3 * MIB), vhd, STAMP, tools=Runner())
    content = vhd.read_bytes()
    assert content[:512] == content[-512:]
    found = fields(content[:512])
    assert (number(found["data offset"]), content[512:520]) == (512, b"cxsparse")
    assert number(found["disk type"]) == 3
    assert number(found["current size"]) == 3 * MIB
    assert number(found["checksum"]) == checksum(content[:512])
    assert found["unique id"] == IDENTITY.uuid("vhd-dynamic").bytes


@pytest.mark.parametrize(
    ("size", "virtual"), [(MIB, MIB), (3 * MIB + 512, 4 * MIB), (5 * MIB - 512, 5 * MIB), (700 * MIB, 700 * MIB)]
)
def test_a_fixed_disk_is_as_large_as_azure_takes_it(tmp_path: Path, size: int, virtual: int) -> None:
    raw, vhd = disk(tmp_path, size), tmp_path / "edge.vhd"
    write_vhd(raw, vhd, STAMP, tools=Runner())
    told = json.loads(say("qemu-img", "info", "--output=json", "-f", "vpc", vhd))
    assert told["virtual-size"] == virtual
    assert "identical" in say("qemu-img", "compare", "-f", "raw", "-F", "vpc", raw, vhd)


@pytest.mark.parametrize("kind", [write_vhd, write_vhd_dynamic])
def test_qemu_takes_the_size_from_the_footer(tmp_path: Path, kind: object) -> None:
    """Not from the geometry, which would be a few sectors less."""
    vhd, size = tmp_path / "edge.vhd", 1031 * MIB
    writer = write_vhd if kind is write_vhd else write_vhd_dynamic
    writer(disk(tmp_path, size), vhd, STAMP, tools=Runner())
    assert json.loads(say("qemu-img", "info", "--output=json", "-f", "vpc", vhd))["virtual-size"] == size


def test_a_time_before_the_format_s_calendar_is_its_beginning() -> None:
    assert number(fields(footer(DiskType.FIXED, MIB, IDENTITY.disk(), 315_532_800))["time stamp"]) == 0


def test_a_fixed_disk_is_known_by_its_footer() -> None:
    good = footer(DiskType.FIXED, 7 * MIB, IDENTITY.disk(), EPOCH)
    assert fixed_disk_size(good) == 7 * MIB
    assert fixed_disk_size(footer(DiskType.DYNAMIC, 7 * MIB, IDENTITY.disk(), EPOCH)) is None
    assert fixed_disk_size(good[:-1] + b"x") is None
    assert fixed_disk_size(good[1:]) is None
    assert fixed_disk_size(bytes(512)) is None
