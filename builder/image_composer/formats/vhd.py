"""VHD, the format of Azure and of older Hyper-V: fixed or dynamic.

The footer is ours, since qemu-img's has a random id and the time of day. Its fields: "Virtual Hard Disk Image Format
Specification", version 1.0, Microsoft 2006.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from pathlib import Path
from uuid import UUID

from image_composer.disk.rounding import round_up
from image_composer.disk.sparse import copy_sparse, create_sparse, explained
from image_composer.disk.tools import ToolRunner
from image_composer.formats.base import Stamp
from image_composer.formats.convert import convert
from image_composer.settings import MIB

FOOTER_SIZE = 512

AZURE_ALIGNMENT = MIB
"""Azure takes only disks of whole MiB."""

COOKIE = b"conectix"
CREATOR = b"imgc"
"""Creator application; four bytes that the specification leaves to each program."""

_EPOCH = 946_684_800
"""The format counts seconds from 2000-01-01 UTC."""

_GEOMETRY = (65535, 16, 255)
"""Cylinders, heads and sectors: the largest there are, whatever the disk's size. Readers that know none of the creators
whose sizes they trust take cylinders * heads * sectors for the size, which is hardly ever the disk's; this value tells
them to look at the size instead. QEMU writes the same when it is told to keep the size (`force_size`)."""

_FIELDS = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_CHECKSUM_AT = 64


class DiskType(IntEnum):
    """How the disk's bytes lie in the file."""

    FIXED = 2
    DYNAMIC = 3


def footer(disk_type: DiskType, size: int, unique_id: UUID, epoch: int) -> bytes:
    """Give the 512 bytes that end every VHD, and that a dynamic one begins with too.

    Args:
        disk_type: how the disk's bytes lie in the file.
        size: bytes of the disk.
        unique_id: id of the disk.
        epoch: its time in seconds since 1970.
    """
    fields = _FIELDS.pack(
        COOKIE,
        2,  # features: a bit that is always set
        0x00010000,  # version of the format
        2**64 - 1 if disk_type is DiskType.FIXED else FOOTER_SIZE,  # where the dynamic header is
        max(0, epoch - _EPOCH),  # images may be older than the format's calendar
        CREATOR,
        0x00010000,  # version of the creator
        b"Wi2k",  # the creator's system; only Windows and Mac have a value
        size,  # when it was made
        size,  # now
        *_GEOMETRY,
        disk_type,
        0,  # checksum
        unique_id.bytes,
        0,  # not in a saved state
    ).ljust(FOOTER_SIZE, b"\0")
    checksum = ~sum(fields) & 0xFFFFFFFF
    return fields[:_CHECKSUM_AT] + checksum.to_bytes(4) + fields[_CHECKSUM_AT + 4 :]


def fixed_disk_size(tail: bytes) -> int | None:
    """Give the bytes of the disk in a fixed VHD by the last 512 bytes of its file; None when it is none."""
    if len(tail) != FOOTER_SIZE or not tail.startswith(COOKIE):
        return None
    fields = _FIELDS.unpack_from(tail)
    checksum = ~(sum(tail) - sum(tail[_CHECKSUM_AT : _CHECKSUM_AT + 4])) & 0xFFFFFFFF
    is_fixed = fields[13] == DiskType.FIXED and fields[14] == checksum
    return int(fields[9]) if is_fixed else None


def write_vhd(raw: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:  # noqa: ARG001 - a FormatWriter
    """Write the disk as a fixed VHD: its bytes, holes kept, up to a whole MiB, and the footer; see `FormatWriter`."""
    size = round_up(raw.stat().st_size, AZURE_ALIGNMENT)
    create_sparse(destination, size)
    copy_sparse(raw, destination)
    with explained(destination), destination.open("ab") as stream:
        stream.write(footer(DiskType.FIXED, size, stamp.identity.uuid("vhd"), stamp.epoch))


def write_vhd_dynamic(raw: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:
    """Write the disk as a dynamic VHD, which leaves out what is empty; see `FormatWriter`."""
    # Without force_size the disk would be rounded up to a number of cylinders.
    convert(raw, destination, "vpc", "subformat=dynamic,force_size=on", tools=tools)
    own = footer(DiskType.DYNAMIC, raw.stat().st_size, stamp.identity.uuid("vhd-dynamic"), stamp.epoch)
    with explained(destination), destination.open("r+b") as stream:
        stream.write(own)
        stream.seek(-FOOTER_SIZE, os.SEEK_END)
        stream.write(own)
