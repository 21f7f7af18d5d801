"""GRUB's first sectors: what is written into them, and that nothing else is touched."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.disk.assemble import write_disk
from image_composer.disk.grub import boot_code, grub_partitions, placed_core
from image_composer.disk.layout import plan
from image_composer.errors import DiskError
from image_composer.run import Runner
from image_composer.spec.disk import BootLoader, Partition
from image_composer.spec.image import Architecture
from support.disks import IDENTITY, partition_table, say

BOOT_IMAGE = (
    bytes(0x5C) + bytes.fromhex("0100000000000000fffaeb05") + bytes(0x118) + b"GRUB \0Geom\0".ljust(0x80, b"\1")
)
ESP: dict[str, Any] = {"label": "ESP", "type": "esp", "filesystem": "vfat"}
ROOT: dict[str, Any] = {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "grow": True}


def core(size: int = 1500) -> bytes:
    """Give a core as grub-mkimage makes it: it names its further sectors as if it lay at the second of a disk."""
    further = -(-size // 512) - 1
    return (b"R".ljust(500, b"\2") + struct.pack("<QHH", 2, further, 0x820)).ljust(size, b"\3")


def partitions(*given: dict[str, Any]) -> list[Partition]:
    return [Partition.model_validate(partition) for partition in given]


@given(st.integers(min_value=1, max_value=2**40))
def test_the_first_sector_names_the_core_s_and_checks_the_drive(sector: int) -> None:
    code = boot_code(BOOT_IMAGE, sector)
    assert len(code) == 440, "the partition table of old begins behind"
    assert struct.unpack_from("<Q", code, 0x5C) == (sector,)
    assert code[0x66:0x68] == b"\x90\x90"
    untouched = [*range(0x5C), *range(0x64, 0x66), *range(0x68, 440)]
    assert [code[at] for at in untouched] == [BOOT_IMAGE[at] for at in untouched]


@given(st.integers(min_value=1, max_value=2**40), st.integers(min_value=513, max_value=400_000))
def test_the_core_finds_its_further_sectors_behind_its_first(sector: int, size: int) -> None:
    placed = placed_core(core(size), sector)
    assert struct.unpack_from("<QHH", placed, 500) == (sector + 1, -(-size // 512) - 1, 0x820)
    assert placed[:500] + placed[512:] == core(size)[:500] + core(size)[512:]


@pytest.mark.parametrize("image", [b"", bytes(512), BOOT_IMAGE + b"\0", bytes(1024)])
def test_what_is_no_first_sector_of_grub_s_is_refused(image: bytes) -> None:
    with pytest.raises(DiskError, match=r"boot\.img of the image's GRUB") as caught:
        boot_code(image, 2048)
    assert caught.value.code == "GRUB_UNKNOWN_FORM"


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        core()[:512],
        core() + bytes(512),
        core()[:508] + b"\0\0" + core()[510:],
        core()[:510] + b"\0" + core()[511:],
    ],
)
def test_what_is_no_core_is_refused(wrong: bytes) -> None:
    with pytest.raises(DiskError, match=r"core\.img of the image's GRUB"):
        placed_core(wrong, 2048)


@pytest.mark.parametrize(
    ("firmware", "own", "labels"),
    [
        ("uefi", False, ["ESP", "root"]),
        ("both", False, ["bios-boot", "ESP", "root"]),
        ("both", True, ["bios-boot", "ESP", "root"]),
        ("bios", False, ["bios-boot", "root"]),
        ("bios", True, ["bios-boot", "ESP", "root"]),
    ],
)
def test_a_bios_gets_its_partition_and_no_efi_system_partition_unless_the_user_lays_one_out(
    firmware: str, own: bool, labels: list[str]
) -> None:
    loader = BootLoader.model_validate({"type": "grub", "firmware": firmware})
    found = grub_partitions(partitions(ESP, ROOT), loader, own=own)
    assert [partition.label for partition in found] == labels
    assert found[-1].grow


def test_code_before_the_partition_table_leaves_the_table_in_order(tmp_path: Path) -> None:
    loader = BootLoader.model_validate({"type": "grub", "firmware": "bios"})
    layout = plan(
        grub_partitions(partitions(ROOT), loader, own=False),
        {"root": 30 << 20},
        disk_size=None,
        architecture=Architecture.X86_64,
        identity=IDENTITY,
        path_prefix="",
    )
    place = layout.by_label("bios-boot")
    assert (place.offset, place.size) == (1 << 20, 1 << 20)
    disk = tmp_path / "disk.raw"
    write_disk(layout, {}, disk, boot_code=boot_code(BOOT_IMAGE, place.offset // 512), tools=Runner())
    assert disk.read_bytes()[:440] == boot_code(BOOT_IMAGE, 2048)
    assert "No errors detected" in say("sfdisk", "--verify", disk)
    assert partition_table(disk)["partitions"][0]["type"] == "21686148-6449-6E6F-744E-656564454649"
