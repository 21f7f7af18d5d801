"""Reads the headers and sections of PE32+ files, the format of EFI programs.

https://learn.microsoft.com/windows/win32/debug/pe-format
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SECTION_HEADER = struct.Struct("<8sIIIIIIHHI")
"""Name, virtual size, virtual address, raw size, raw offset, relocations, line numbers, their counts, flags."""

COFF_HEADER_SIZE = 24
"""Bytes of the signature and the COFF header; the optional header follows."""

MAXIMUM_SECTIONS = 96
"""The format's own limit for loaders."""

_POINTER_TO_PE_HEADER = 0x3C
_PE32_PLUS = 0x20B
_OPTIONAL_HEADER_MINIMUM = 112
_SIGNATURE_ENTRY = 112 + 4 * 8
"""Offset in the optional header: the fifth of the data directories."""


class PeFormatError(ValueError):
    """The bytes are not a PE32+ file; the caller says which file that was."""


@dataclass(frozen=True, slots=True)
class PeSection:
    """One entry of the section table."""

    name: str
    virtual_size: int
    virtual_address: int
    raw_size: int
    raw_offset: int


@dataclass(frozen=True, slots=True)
class PeHeaders:
    """What the headers say, and where they are."""

    pe_offset: int
    section_alignment: int
    file_alignment: int
    size_of_headers: int
    sections: tuple[PeSection, ...]
    section_table: int
    """Offset of the section table."""

    signatures: tuple[int, int]
    """Offset and size of the table of signatures at the file's end; zeros when there is none."""

    @property
    def optional_header(self) -> int:
        """Offset of the optional header."""
        return self.pe_offset + COFF_HEADER_SIZE

    @property
    def checksum(self) -> int:
        """Offset of the checksum, 4 bytes."""
        return self.optional_header + 64

    @property
    def signature_entry(self) -> int:
        """Offset of the header's entry, 8 bytes, that says where the signatures are."""
        return self.optional_header + _SIGNATURE_ENTRY

    @property
    def section_table_end(self) -> int:
        """First byte behind the section table."""
        return self.section_table + len(self.sections) * SECTION_HEADER.size


def read_pe_headers(content: bytes) -> PeHeaders:
    """Read the headers of a PE32+ file.

    Raises:
        PeFormatError: it isn't one, or is cut off.
    """
    try:
        return _read_headers(content)
    except struct.error as error:
        raise PeFormatError("it is too short for its headers") from error


def read_pe_sections(content: bytes) -> dict[str, bytes]:
    """Give what each section of a PE32+ file holds, by the section's name, without padding.

    Raises:
        PeFormatError: it isn't one, or is cut off.
    """
    found: dict[str, bytes] = {}
    for section in read_pe_headers(content).sections:
        size = min(section.virtual_size, section.raw_size)
        if section.raw_offset + size > len(content):
            raise PeFormatError(f"its section {section.name} is cut off")
        found[section.name] = content[section.raw_offset : section.raw_offset + size]
    return found


def _read_headers(content: bytes) -> PeHeaders:
    if content[:2] != b"MZ":
        raise PeFormatError("it does not begin with MZ")
    (pe_offset,) = struct.unpack_from("<I", content, _POINTER_TO_PE_HEADER)
    signature, count, optional_size = struct.unpack_from("<4s2xH12xH", content, pe_offset)
    if signature != b"PE\0\0":
        raise PeFormatError("it has no PE header")
    optional = pe_offset + COFF_HEADER_SIZE
    (magic,) = struct.unpack_from("<H", content, optional)
    if magic != _PE32_PLUS or optional_size < _OPTIONAL_HEADER_MINIMUM:
        raise PeFormatError("it is not a PE32+ file")
    section_alignment, file_alignment = struct.unpack_from("<II", content, optional + 32)
    (size_of_headers,) = struct.unpack_from("<I", content, optional + 60)
    if not section_alignment or not file_alignment or count > MAXIMUM_SECTIONS:
        raise PeFormatError("its headers make no sense")
    table = optional + optional_size
    sections = tuple(_read_section(content, table + index * SECTION_HEADER.size) for index in range(count))
    signatures = (0, 0)
    if optional_size >= _SIGNATURE_ENTRY + 8:
        signatures = struct.unpack_from("<II", content, optional + _SIGNATURE_ENTRY)
    return PeHeaders(pe_offset, section_alignment, file_alignment, size_of_headers, sections, table, signatures)


def _read_section(content: bytes, offset: int) -> PeSection:
    name, virtual_size, virtual_address, raw_size, raw_offset, *_ = SECTION_HEADER.unpack_from(content, offset)
    text = name.rstrip(b"\0").decode("ascii", "backslashreplace")
    return PeSection(text, virtual_size, virtual_address, raw_size, raw_offset)
