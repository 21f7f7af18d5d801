"""Finds a file in an ISO 9660 file system, without mounting it.

ECMA-119, 4th edition: volume descriptors in 8.4, records of folders in 9.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from image_composer.inspect.raw import RawImage

INSTALLED_DISK = ("IMAGE", "DISK.ZST")
"""What an installer of ours installs, by the names that ISO 9660 has for it."""

SECTOR = 2048
_DESCRIPTOR = 16 * SECTOR
"""Where the primary volume descriptor is."""

_HEADER = 512
"""Where the header of a GPT is, and the unit that it counts in; UEFI specification, 5.3.2."""

_ROOT_RECORD = 156
_RECORD = struct.Struct("<B x I 4x I 4x 7x B 6x B")
"""Length of the record, first sector, bytes, flags, length of the name; both numbers stand there big-endian too."""

_FOLDER = 0x02
"""Flag of a record."""

_LARGEST_FOLDER = 1 << 20
"""Bytes; a folder that is larger is none of ours."""

Extent = tuple[int, int]
"""First byte and number of bytes."""


def find_file(image: RawImage, path: Sequence[str]) -> list[Extent] | None:
    """Give where a file lies in an ISO; None when there is none of that name.

    Args:
        image: the ISO.
        path: names in upper case, without version.

    Raises:
        InspectError: INSPECT_UNREADABLE.
    """
    descriptor = image.read(_DESCRIPTOR, SECTOR)
    if len(descriptor) < SECTOR or descriptor[:6] != b"\x01CD001":
        return None
    _, sector, size, _, _ = _RECORD.unpack_from(descriptor, _ROOT_RECORD)
    extents, is_folder = [(sector * SECTOR, size)], True
    for name in path:
        if not is_folder:
            return None
        found = [record for record in _records(image, extents) if record[0] == name]
        if not found:
            return None
        # A file beyond 4 GiB has several records.
        extents = [(start, size) for _, start, size, _ in found]
        is_folder = bool(found[0][3] & _FOLDER)
    return None if is_folder else extents


def is_whole(image: RawImage) -> bool:
    """Say whether a medium is as long as its partition table says, which lies at its beginning and at its end."""
    header = image.read(_HEADER, _HEADER)
    return not header.startswith(b"EFI PART") or image.size >= (int.from_bytes(header[32:40], "little") + 1) * _HEADER


def _records(image: RawImage, extents: Sequence[Extent]) -> Iterator[tuple[str, int, int, int]]:
    """Give name, first byte, bytes and flags of what a folder holds."""
    start, size = extents[0]
    content = image.read(start, min(size, _LARGEST_FOLDER))
    place = 0
    while place + _RECORD.size < len(content):
        length, sector, extent_size, flags, name_length = _RECORD.unpack_from(content, place)
        if length == 0:  # records don't cross sectors
            place = (place // SECTOR + 1) * SECTOR
            continue
        name = content[place + _RECORD.size : place + _RECORD.size + name_length]
        yield name.decode("ascii", "replace").partition(";")[0], sector * SECTOR, extent_size, flags
        place += length
