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

    qemu-img draws the content id by lot; ours comes from the image's identity.
    """
    # An lsilogic adapter makes the importer attach a SCSI disk; the default is IDE.
    convert(raw, destination, "vmdk", "subformat=streamOptimized,adapter_type=lsilogic", tools=tools)
    content_id = f"CID={stamp.identity.uuid('vmdk').int >> 96:08x}".encode()
    with explained(destination), destination.open("r+b") as stream:
        place, size = (sectors * _SECTOR for sectors in _DESCRIPTOR.unpack(stream.read(_DESCRIPTOR.size)))
        stream.seek(place)
        descriptor, count = _CONTENT_ID.subn(content_id, stream.read(size).rstrip(b"\0"))
        if count != 1 or len(descriptor) > size:
            raise DiskError("DISK_WRITE_FAILED", f"{destination.name}: qemu-img wrote a VMDK without a content id")
        stream.seek(place)
        stream.write(descriptor.ljust(size, b"\0"))
