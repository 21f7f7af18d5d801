"""VMDK in its streamOptimized form: what OVF packages hold, and what VMware's import takes."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from image_composer.disk.sparse import explained
from image_composer.disk.tools import ToolRunner
from image_composer.errors import DiskError
from image_composer.formats.base import Stamp
from image_composer.formats.convert import convert

_DESCRIPTOR = struct.Struct("<28xQQ")
"""Where the header says the descriptor is and how large, in sectors; a text that zeros follow."""

_SECTOR = 512

_CONTENT_ID = re.compile(rb"^CID=[0-9a-f]{1,8}$", re.MULTILINE)
"""As qemu-img writes it, without zeros in front."""


def write_vmdk(raw: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:
    """Write the disk as a streamOptimized VMDK; see `FormatWriter`.

    qemu-img draws the content id by lot, twice; ours comes from the image's identity.
    """
    # An lsilogic adapter makes the importer attach a SCSI disk; the default is IDE.
    convert(raw, destination, "vmdk", "subformat=streamOptimized,adapter_type=lsilogic", tools=tools)
    content_id = stamp.identity.uuid("vmdk").int >> 96
    with explained(destination), destination.open("r+b") as stream:
        place, size = (sectors * _SECTOR for sectors in _DESCRIPTOR.unpack(stream.read(_DESCRIPTOR.size)))
        stream.seek(place)
        descriptor = with_content_id(stream.read(size), content_id)
        if descriptor is None:
            raise DiskError("DISK_WRITE_FAILED", f"{destination.name}: qemu-img wrote a VMDK without a content id")
        stream.seek(place)
        stream.write(descriptor)


def with_content_id(descriptor: bytes, content_id: int) -> bytes | None:
    """Give a descriptor that differs in its content id alone, of the same size; None for one that has no such id.

    The second id that qemu-img draws is written over the first. Where it has fewer digits, the end of the longer text
    stays behind the zero that ends the shorter: one file in some two hundred differed by that.

    Args:
        descriptor: the text and the zeros that fill it up.
        content_id: 32 bits.
    """
    text, _, _ = descriptor.partition(b"\0")
    changed, count = _CONTENT_ID.subn(f"CID={content_id:08x}".encode(), text)
    return changed.ljust(len(descriptor), b"\0") if count == 1 and len(changed) <= len(descriptor) else None
