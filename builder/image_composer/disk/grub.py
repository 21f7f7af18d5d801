"""GRUB on a disk that a BIOS starts: bytes to bytes, no device.

A BIOS runs the first sector of a disk. GRUB's (boot.img) loads one more and jumps to it, the first of GRUB's core,
which loads the others. Neither knows file systems, so the numbers of sectors are written into both; the core lies in a
partition of its own, where nothing moves it. https://www.gnu.org/software/grub/manual/grub/html_node/Images.html
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from image_composer.disk.layout import SECTOR
from image_composer.errors import DiskError
from image_composer.spec.disk import BIOS_BOOT_LABEL, BootLoader, Filesystem, Partition, PartitionType

CODE_END = 0x1B8
"""Bytes of the first sector that are code; the disk's signature and the partition table of old follow."""

CORE_SECTOR = 0x5C
"""Where in boot.img the core's first sector is named, in 64 bits."""

DRIVE_CHECK = 0x66
"""Where in boot.img a jump of two bytes passes over a check of the drive's number."""

CHECKED = b"\x90\x90"
"""Two instructions that do nothing, instead of that jump: some BIOSes give a floppy's number for a disk."""

BLOCK_LIST = SECTOR - 12
"""Where in the core's first sector it is said where the others lie: first sector, their number, segment in memory."""

_BLOCKS = struct.Struct("<QHH")

LOAD_SEGMENT = 0x820
"""Segment that the core's second sector is loaded to: 0x8200, right behind the first."""

CORE_PARTITION = "1MiB"
"""Size of the core's partition; a core that a BIOS can start has less than half of it, for want of memory."""

MAGIC = b"GRUB "
"""Stands in the code of boot.img, as part of what it says when it fails."""


def boot_code(boot_image: bytes, core_sector: int) -> bytes:
    """Give what a disk begins with, up to where its partition table does.

    Args:
        boot_image: GRUB's boot.img.
        core_sector: sector of the disk where the core begins.

    Raises:
        DiskError: GRUB_UNKNOWN_FORM.
    """
    if len(boot_image) != SECTOR or MAGIC not in boot_image[:CODE_END]:
        raise _unknown("boot.img")
    code = bytearray(boot_image[:CODE_END])
    struct.pack_into("<Q", code, CORE_SECTOR, core_sector)
    code[DRIVE_CHECK : DRIVE_CHECK + len(CHECKED)] = CHECKED
    return bytes(code)


def placed_core(core: bytes, core_sector: int) -> bytes:
    """Give a core that finds its further sectors behind its first.

    Args:
        core: as grub-mkimage makes it, which knows their number, but not where they will lie.
        core_sector: sector of the disk where it begins.

    Raises:
        DiskError: GRUB_UNKNOWN_FORM.
    """
    if len(core) <= SECTOR:
        raise _unknown("core.img")
    _, count, segment = _BLOCKS.unpack_from(core, BLOCK_LIST)
    further = -(-len(core) // SECTOR) - 1
    if (count, segment) != (further, LOAD_SEGMENT):
        raise _unknown("core.img")
    placed = bytearray(core)
    _BLOCKS.pack_into(placed, BLOCK_LIST, core_sector + 1, count, segment)
    return bytes(placed)


def grub_partitions(partitions: Sequence[Partition], loader: BootLoader, *, own: bool) -> list[Partition]:
    """Give the partitions of a disk that GRUB starts from.

    Args:
        partitions: as the spec or the distribution lays them out.
        loader: says which firmware starts it.
        own: whether the user laid them out; nothing of his is left out.
    """
    found = [found for found in partitions if own or loader.uefi or found.type is not PartitionType.ESP]
    if loader.bios:
        core = Partition(
            label=BIOS_BOOT_LABEL, type=PartitionType.BIOS_BOOT, filesystem=Filesystem.GRUB, size=CORE_PARTITION
        )
        return [core, *found]
    return found


def _unknown(what: str) -> DiskError:
    return DiskError(
        "GRUB_UNKNOWN_FORM",
        f"{what} of the image's GRUB is not as versions of 2.00 and later make it, so it can't be put on a disk",
        hint="build with the distribution's own GRUB, or with bootLoader.firmware 'uefi'",
    )
