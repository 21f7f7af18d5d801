"""Reads both copies of a GUID partition table by itself, and finds what is wrong with them.

sfdisk, which wrote the table, and mends one copy by the other without a word, is not asked.
https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from image_composer.disk.layout import ALIGNMENT, SECTOR

Read = Callable[[int, int], bytes]
"""Gives bytes of the disk: offset, size."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_PROTECTIVE_TYPE = 0xEE
FREE_SLOT = "_empty"
"""What systemd-sysupdate calls partitions that wait for an update; there may be several."""

_MOST_ENTRIES = 1024
"""What no table comes near to: a broken header must not have us read the whole disk."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A partition as one copy of the table has it; sectors."""

    number: int
    name: str
    uuid: UUID
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Header:
    """What one copy says of the disk; sectors."""

    here: int
    other: int
    first_usable: int
    last_usable: int
    disk: UUID
    entries: tuple[Entry, ...]
    raw_entries: bytes


class TableFaultError(ValueError):
    """A copy of the table can't be read."""


def table_problems(read: Read, size: int) -> list[str]:
    """Give what is wrong with the partition table of a disk; nothing when it is in order.

    Args:
        read: reads the disk.
        size: bytes of the disk.
    """
    sectors = size // SECTOR
    copies: list[Header] = []
    problems = [] if size % SECTOR == 0 else [f"the disk has {size} bytes, which is not a number of whole sectors"]
    problems += _protective_problems(read(0, SECTOR))
    for title, place in (("first", 1), ("second", sectors - 1)):
        try:
            copies.append(_read_copy(read, place, sectors))
        except TableFaultError as fault:
            problems.append(f"the {title} copy of the table {fault}")
    if len(copies) == 2:
        problems += _disagreements(copies[0], copies[1])
    return problems + [problem for copy in copies[:1] for problem in _placement_problems(copy, sectors)]


def _protective_problems(sector: bytes) -> Iterator[str]:
    """The MBR keeps programs that know no GPT from taking the disk for an empty one."""
    if sector[510:512] != b"\x55\xaa":
        yield "the disk has no protective MBR"
    elif not any(sector[446 + 16 * index + 4] == _PROTECTIVE_TYPE for index in range(4)):
        yield "its MBR has no protective partition"


def _read_copy(read: Read, place: int, sectors: int) -> Header:
    if not 0 < place < sectors:
        raise TableFaultError("has no room")
    content = read(place * SECTOR, SECTOR)
    if len(content) < _HEADER.size or content[:8] != b"EFI PART":
        raise TableFaultError("is missing")
    (_, _, header_size, checksum, _, here, other, first, last, disk, at, count, entry_size, sums) = _HEADER.unpack_from(
        content
    )
    if not _HEADER.size <= header_size <= SECTOR:
        raise TableFaultError("has a header of impossible size")
    blank = content[:16] + bytes(4) + content[20:header_size]
    if zlib.crc32(blank) != checksum:
        raise TableFaultError("has a wrong checksum")
    if here != place:
        raise TableFaultError(f"lies at sector {place} but says {here}")
    if entry_size < _ENTRY.size or count > _MOST_ENTRIES or entry_size > SECTOR:
        raise TableFaultError("has impossible entries")
    raw = read(at * SECTOR, count * entry_size)
    if zlib.crc32(raw) != sums:
        raise TableFaultError("has entries with a wrong checksum")
    return Header(here, other, first, last, UUID(bytes_le=disk), tuple(_entries(raw, entry_size)), raw)


def _entries(raw: bytes, entry_size: int) -> Iterator[Entry]:
    for number, start in enumerate(range(0, len(raw), entry_size), start=1):
        kind, uuid, first, last, _, name = _ENTRY.unpack_from(raw, start)
        if any(kind):
            text = name.decode("utf-16-le", "replace").partition("\0")[0]
            yield Entry(number, text, UUID(bytes_le=uuid), first, last)


def _disagreements(one: Header, two: Header) -> Iterator[str]:
    same = one.disk == two.disk and one.raw_entries == two.raw_entries
    if not same or (one.first_usable, one.last_usable) != (two.first_usable, two.last_usable):
        yield "the two copies of the table are not the same"
    if (one.other, two.other) != (two.here, one.here):
        yield "the two copies of the table don't point to each other"


def _placement_problems(copy: Header, sectors: int) -> Iterator[str]:
    placed = sorted(copy.entries, key=lambda entry: entry.first)
    if not placed:
        yield "there is no partition"
    if copy.last_usable >= sectors:
        yield "the table is that of a larger disk"
    for entry in placed:
        name = entry.name or f"number {entry.number}"
        if not copy.first_usable <= entry.first <= entry.last <= copy.last_usable:
            yield f"the partition {name} ends before it begins, or lies outside of the room for partitions"
        if entry.first * SECTOR % ALIGNMENT:
            yield f"the partition {name} does not begin at a whole MiB"
    for before, after in pairwise(placed):
        if after.first <= before.last:
            yield f"the partitions {before.name} and {after.name} overlap"
    yield from _twice("the id", [str(entry.uuid) for entry in placed])
    yield from _twice("the name", [entry.name for entry in placed if entry.name not in ("", FREE_SLOT)])


def _twice(what: str, values: Sequence[str]) -> Iterator[str]:
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield f"two partitions have {what} {value}"
