"""VHDX, the format of Hyper-V since 2012.

qemu-img makes it, with random ids; they are replaced. Where they are: [MS-VHDX], Virtual Hard Disk v2 File Format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from image_composer.disk.sparse import explained
from image_composer.disk.tools import ToolRunner
from image_composer.errors import DiskError
from image_composer.formats.base import Stamp
from image_composer.formats.convert import convert
from image_composer.settings import MIB

HEADERS_AT = (64 * 1024, 128 * 1024)
HEADER_SIZE = 4096
REGIONS_AT = 192 * 1024
TABLE_SIZE = 64 * 1024
METADATA_REGION = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
DISK_ID_ITEM = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
"""The metadata that holds the id of the disk, as SCSI's page 83 shows it."""

BLOCK_SIZE = MIB
"""The smallest there is: what Microsoft advises for ext4, whose metadata lie scattered and would fill large blocks."""

CREATOR = "image-composer"
_CREATOR_SIZE = 512

_CASTAGNOLI = 0x82F63B78
"""CRC-32C's polynomial, bits reversed."""


def write_vhdx(raw: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:
    """Write the disk as a dynamic VHDX; see `FormatWriter`."""
    convert(raw, destination, "vhdx", f"subformat=dynamic,block_size={BLOCK_SIZE}", tools=tools)
    with explained(destination), destination.open("r+b") as stream:
        _settle(stream, stamp)


def _settle(stream: BinaryIO, stamp: Stamp) -> None:
    """Replace all that is random."""
    _write_at(stream, 8, CREATOR.encode("utf-16-le").ljust(_CREATOR_SIZE, b"\0"))
    # The header with the higher number is the one in force; qemu-img begins to count anywhere.
    for number, place in enumerate(HEADERS_AT):
        header = bytearray(_read_at(stream, place, HEADER_SIZE))
        if header[:4] != b"head" or any(header[48:64]):
            raise _unknown("a header is missing, or its log is in use")
        file_id, data_id = (stamp.identity.uuid(f"vhdx/{role}") for role in ("file", "data"))
        struct.pack_into("<IQ16s16s", header, 4, 0, number, file_id.bytes_le, data_id.bytes_le)
        struct.pack_into("<I", header, 4, crc32c(bytes(header)))
        _write_at(stream, place, bytes(header))
        log_size, log_at = struct.unpack_from("<IQ", header, 68)
        _write_at(stream, log_at, bytes(log_size))  # entries of a log that is not in use: nobody reads them
    disk_id = stamp.identity.uuid("vhdx/disk")
    _write_at(stream, _disk_id_place(stream), disk_id.bytes_le)


def _disk_id_place(stream: BinaryIO) -> int:
    """Give the byte where the disk's id is."""
    for region, region_at in _entries(stream, REGIONS_AT, b"regi", count="<I", count_at=8, first=16):
        if region == METADATA_REGION:
            metadata_at = struct.unpack("<Q", region_at[:8])[0]
            for item, place in _entries(stream, metadata_at, b"metadata", count="<H", count_at=10, first=32):
                if item == DISK_ID_ITEM:
                    return int(metadata_at + struct.unpack("<I", place[:4])[0])
    raise _unknown("the disk's id is missing")


def _entries(
    stream: BinaryIO, place: int, signature: bytes, *, count: str, count_at: int, first: int
) -> Iterator[tuple[UUID, bytes]]:
    """Give id and further bytes of each entry of a table."""
    table = _read_at(stream, place, TABLE_SIZE)
    if not table.startswith(signature):
        raise _unknown(f"the table {signature.decode()} is missing")
    for number in range(struct.unpack_from(count, table, count_at)[0]):
        entry = table[first + 32 * number : first + 32 * (number + 1)]
        yield UUID(bytes_le=entry[:16]), entry[16:]


def crc32c(content: bytes) -> int:
    """Give the CRC-32C of some bytes. Made for a few kilobytes: it takes a bit after the other."""
    remainder = 0xFFFFFFFF
    for byte in content:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_CASTAGNOLI if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def _read_at(stream: BinaryIO, place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)


def _write_at(stream: BinaryIO, place: int, content: bytes) -> None:
    stream.seek(place)
    stream.write(content)


def _unknown(reason: str) -> DiskError:
    return DiskError("DISK_WRITE_FAILED", f"qemu-img wrote a VHDX that can't be made reproducible: {reason}")
