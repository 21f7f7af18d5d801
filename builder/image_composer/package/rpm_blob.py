"""The form of an rpm package file, version 4: a lead, a header with signatures, the header proper, the payload.

https://rpm-software-management.github.io/rpm/manual/format_v4.html and format_header.html. Everything in a file is
taken for hostile: sizes are bounded before memory is, and what doesn't add up is an error.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, NoReturn

from image_composer.errors import RepositoryError

LEAD = 96
LEAD_MAGIC = b"\xed\xab\xee\xdb\x03"
"""With the format's major version, which stayed 3 in version 4."""

HEADER_MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
INTRO = 16
"""Magic, count of entries, bytes of values."""

ENTRY = struct.Struct(">4I")
"""Tag, type, offset, count."""

INT32, STRING, BINARY, STRING_ARRAY, TRANSLATED = 4, 6, 7, 8, 9
"""Types of values."""

MOST_ENTRIES = 0xFFFF
"""As many as rpm takes; packages have about 100."""

LARGEST_SIGNATURES = 16 * 1024 * 1024
"""Bytes; about 8 KiB in most packages, and half a KiB for each file where files are signed one by one."""

LARGEST_HEADER = 64 * 1024 * 1024
"""Bytes; the kernel's sources, with 20,000 files, need about 3 MiB."""

LONGEST_STRING = 64 * 1024
"""Bytes of one string that we read."""

MOST_STRINGS = 16
"""Strings of an array that we read: nobody signs a package more often."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One of the headers of a package file."""

    what: str
    """The package, for messages."""

    raw: bytes
    """With its magic: exactly what a signature over it covers."""

    entries: dict[int, tuple[int, int, int]]
    """Type, offset and count by tag; of the tags that were asked for only."""

    start: int
    """Where the values begin in `raw`."""

    def number(self, tag: int) -> int | None:
        """Give a 32-bit number, the first if there are several; None when there is none."""
        entry = self._entry(tag, {INT32})
        if entry is None:
            return None
        return int.from_bytes(self._take(tag, entry[1], 4), "big")

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Give an array of 32-bit numbers; none when there is no such tag."""
        entry = self._entry(tag, {INT32})
        if entry is None:
            return ()
        return struct.unpack(f">{entry[2]}I", self._take(tag, entry[1], 4 * entry[2]))

    def text(self, tag: int) -> str | None:
        """Give a string, of several the first: an array's, or the untranslated one."""
        return next(iter(self.texts(tag, most=1)), None)

    def texts(self, tag: int, *, most: int = MOST_STRINGS) -> tuple[str, ...]:
        """Give the strings of an array; none when there is no such tag."""
        entry = self._entry(tag, {STRING, STRING_ARRAY, TRANSLATED})
        found: list[str] = []
        begin = self.start + entry[1] if entry else 0
        for _ in range(min(entry[2], most) if entry else 0):
            end = self.raw.find(b"\0", begin, begin + LONGEST_STRING)
            if end < 0:
                malformed(self.what, f"the value of tag {tag} has no end")
            found.append(self.raw[begin:end].decode("utf-8", "replace"))
            begin = end + 1
        return tuple(found)

    def count(self, tag: int) -> int:
        """Say how many values a tag has."""
        return self.entries[tag][2] if tag in self.entries else 0

    def binary(self, tag: int) -> bytes | None:
        """Give bytes; None when there are none."""
        entry = self._entry(tag, {BINARY})
        return None if entry is None else self._take(tag, entry[1], entry[2])

    def _entry(self, tag: int, kinds: set[int]) -> tuple[int, int, int] | None:
        entry = self.entries.get(tag)
        if entry is not None and (entry[0] not in kinds or entry[2] < 1):
            malformed(self.what, f"the value of tag {tag} has the wrong type")
        return entry

    def _take(self, tag: int, offset: int, size: int) -> bytes:
        found = self.raw[self.start + offset : self.start + offset + size]
        if len(found) < size:
            malformed(self.what, f"the value of tag {tag} lies outside of the header")
        return found


def read_lead(stream: IO[bytes], what: str) -> None:
    """Read past the lead, which says nothing but that this is an rpm package."""
    if not _read(stream, LEAD, what).startswith(LEAD_MAGIC):
        malformed(what, "it does not start as an rpm package does")


def read_signatures(stream: IO[bytes], tags: Iterable[int], what: str) -> Blob:
    """Read the header with the signatures, and what fills it up to a multiple of 8 bytes."""
    blob = _read_blob(stream, tags, LARGEST_SIGNATURES, what)
    _read(stream, -len(blob.raw) % 8, what)
    return blob


def read_main(stream: IO[bytes], tags: Iterable[int], what: str) -> Blob:
    """Read the header proper, all of which must be its immutable region: nothing in it escapes a signature."""
    blob = _read_blob(stream, [*tags, REGION], LARGEST_HEADER, what)
    _check_region(blob)
    return blob


def read_stored(content: bytes, tags: Iterable[int], what: str) -> Blob:
    """Read a header as rpm's database holds it: without the magic, and with entries of rpm's own beside the region."""
    stream = io.BytesIO(HEADER_MAGIC + content)
    return _read_blob(stream, tags, LARGEST_HEADER, what)


REGION = 63
"""HEADERIMMUTABLE: the first entry; its value is the last one and says how many entries belong to it."""


def _check_region(blob: Blob) -> None:
    first = ENTRY.unpack_from(blob.raw, INTRO)
    size = len(blob.raw) - blob.start
    count = (blob.start - INTRO) // ENTRY.size
    trailer = (REGION, BINARY, -count * ENTRY.size & 0xFFFFFFFF, ENTRY.size)
    if first != (REGION, BINARY, size - ENTRY.size, ENTRY.size) or ENTRY.unpack(blob.raw[-ENTRY.size :]) != trailer:
        malformed(blob.what, "a part of its header is not covered by signatures")


def _read_blob(stream: IO[bytes], tags: Iterable[int], largest: int, what: str) -> Blob:
    intro = _read(stream, INTRO, what)
    count, size = int.from_bytes(intro[8:12], "big"), int.from_bytes(intro[12:16], "big")
    if not intro.startswith(HEADER_MAGIC) or not 1 <= count <= MOST_ENTRIES or not ENTRY.size <= size <= largest:
        malformed(what, "one of its headers is damaged or too large")
    raw = intro + _read(stream, count * ENTRY.size + size, what)
    start = INTRO + count * ENTRY.size
    wanted = frozenset(tags)
    entries: dict[int, tuple[int, int, int]] = {}
    for tag, kind, offset, items in ENTRY.iter_unpack(memoryview(raw)[INTRO:start]):
        if tag not in wanted:
            continue
        if tag in entries or offset >= size:
            malformed(what, f"tag {tag} is there twice, or its value lies outside of the header")
        entries[tag] = kind, offset, items
    return Blob(what, raw, entries, start)


def _read(stream: IO[bytes], size: int, what: str) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        malformed(what, "it ends too early")
    return found


def malformed(what: str, how: str) -> NoReturn:
    """Give up on a package.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    raise RepositoryError(
        "REPO_MALFORMED", f"{what} is not an rpm package that can be read: {how}", hint="tell the repository's owner"
    )
