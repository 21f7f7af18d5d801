"""Makes unified kernel images: systemd's EFI stub with kernel, initrd and command line as further sections.

Written by ourselves because objcopy puts the current time into the headers and places sections wrongly in stubs
whose image base isn't 0. https://uapi-group.org/specifications/specs/unified_kernel_image/
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from image_composer.disk.pe import SECTION_HEADER, PeFormatError, PeHeaders, read_pe_headers
from image_composer.disk.rounding import round_up
from image_composer.disk.sparse import explained
from image_composer.errors import DiskError

PAGE = 4096
"""Sections begin at pages in memory, so that firmware can protect each by itself."""

_READ_DATA = 0x40000040
_READ_EXECUTE_CODE = 0x60000020
"""Flags of .linux: some firmware starts the kernel right where it lies in the image."""

_LARGEST_IMAGE = 2**32 - 1
"""Sizes and addresses in a PE file have 32 bits."""

# Offsets into the headers, from the beginning of the PE signature and of the optional header.
_SECTION_COUNT = 6
_TIMESTAMP = 8
_SYMBOL_TABLE = 12
_SIZE_OF_INITIALIZED_DATA = 8
_SIZE_OF_IMAGE = 56
_CHECKSUM = 64
_DIRECTORY_COUNT = 108
_CERTIFICATE_DIRECTORY = 112 + 4 * 8


@dataclass(frozen=True, slots=True)
class UkiSections:
    """What is added to the stub."""

    os_release: bytes
    command_line: str
    kernel_release: str
    """As `uname -r` prints it."""

    kernel: Path
    initrd: Path
    splash: bytes | None = None
    """A BMP shown while it starts."""


@dataclass(frozen=True, slots=True)
class PlacedSection:
    """A section with its place in memory and in the file."""

    name: str
    size: int
    address: int
    offset: int
    raw_size: int


def write_uki(destination: Path, stub: bytes, sections: UkiSections) -> None:
    """Write a unified kernel image. Kernel and initrd are copied without being held in memory.

    Args:
        destination: file to make, replaced if there.
        stub: systemd's EFI stub; a signature on it is dropped, as it would not be valid any more.
        sections: what is added.

    Raises:
        DiskError: UKI_STUB_INVALID, UKI_STUB_FULL or UKI_TOO_LARGE; DISK_WRITE_FAILED when a file can't be read or
            written.
    """
    contents = section_contents(sections)
    with explained(destination):
        sizes = [(name, _size(content)) for name, content in contents]
        head, placed = plan_uki(stub, sizes)
        with destination.open("wb") as image:
            image.write(head)
            for (_, content), section in zip(contents, placed, strict=True):
                image.seek(section.offset)
                _copy(content, section, image)
            image.truncate(placed[-1].offset + placed[-1].raw_size)


def section_contents(sections: UkiSections) -> list[tuple[str, bytes | Path]]:
    """Give the sections by name, in their order in the image.

    The kernel comes last: one that is old unpacks itself in place and needs the memory behind it.
    """
    contents: list[tuple[str, bytes | Path]] = [
        (".osrel", sections.os_release),
        (".cmdline", sections.command_line.encode()),
        (".uname", sections.kernel_release.encode()),
    ]
    if sections.splash is not None:
        contents.append((".splash", sections.splash))
    return [*contents, (".initrd", sections.initrd), (".linux", sections.kernel)]


def plan_uki(stub: bytes, sizes: Sequence[tuple[str, int]]) -> tuple[bytes, list[PlacedSection]]:
    """Give the stub with headers that name further sections, and the sections' places.

    Raises:
        DiskError: UKI_STUB_INVALID, UKI_STUB_FULL or UKI_TOO_LARGE.
    """
    try:
        headers = read_pe_headers(stub)
    except PeFormatError as error:
        raise _invalid_stub(str(error)) from error
    _check_stub(stub, headers, [name for name, _ in sizes])
    placed = _placed(headers, sizes)
    last = placed[-1]
    if max(last.address + last.size, last.offset + last.raw_size) > _LARGEST_IMAGE - PAGE:
        raise DiskError("UKI_TOO_LARGE", "kernel and initrd together are larger than the 4 GiB of an EFI program")
    return _head(stub, headers, placed), placed


def _check_stub(stub: bytes, headers: PeHeaders, added: Sequence[str]) -> None:
    if not headers.sections:
        raise _invalid_stub("it has no sections")
    if any(section.raw_offset + section.raw_size > len(stub) for section in headers.sections):
        raise _invalid_stub("it is cut off")
    twice = {section.name for section in headers.sections} & set(added)
    if twice:
        raise _invalid_stub(f"it has a section {min(twice)} already")
    needed = headers.section_table_end + len(added) * SECTION_HEADER.size
    offsets = [section.raw_offset for section in headers.sections if section.raw_size]
    room = min([headers.size_of_headers, *offsets])
    if needed > room:
        raise DiskError(
            "UKI_STUB_FULL",
            f"the EFI stub's headers have room for {room} bytes, but {needed} are needed",
            hint="use the stub of another version of systemd",
        )


def _invalid_stub(reason: str) -> DiskError:
    return DiskError(
        "UKI_STUB_INVALID",
        f"the EFI stub can't be used: {reason}",
        hint="the package with systemd's stub (linuxx64.efi.stub) may be broken or for another architecture",
    )


def _placed(headers: PeHeaders, sizes: Sequence[tuple[str, int]]) -> list[PlacedSection]:
    alignment = max(headers.section_alignment, PAGE)
    address = max(section.virtual_address + section.virtual_size for section in headers.sections)
    offset = max(section.raw_offset + section.raw_size for section in headers.sections)
    placed: list[PlacedSection] = []
    for name, size in sizes:
        address = round_up(address, alignment)
        offset = round_up(offset, headers.file_alignment)
        raw_size = round_up(size, headers.file_alignment)
        placed.append(PlacedSection(name, size, address, offset, raw_size))
        address += size
        offset += raw_size
    return placed


def _head(stub: bytes, headers: PeHeaders, placed: Sequence[PlacedSection]) -> bytes:
    # What comes after the stub's last section, symbols or a signature, isn't carried over.
    head = bytearray(stub[: max(section.raw_offset + section.raw_size for section in headers.sections)])
    pe, optional = headers.pe_offset, headers.optional_header
    struct.pack_into("<H", head, pe + _SECTION_COUNT, len(headers.sections) + len(placed))
    struct.pack_into("<I", head, pe + _TIMESTAMP, 0)
    struct.pack_into("<II", head, pe + _SYMBOL_TABLE, 0, 0)
    (data_size,) = struct.unpack_from("<I", head, optional + _SIZE_OF_INITIALIZED_DATA)
    data_size += sum(section.raw_size for section in placed)
    struct.pack_into("<I", head, optional + _SIZE_OF_INITIALIZED_DATA, data_size)
    end = round_up(placed[-1].address + placed[-1].size, headers.section_alignment)
    struct.pack_into("<I", head, optional + _SIZE_OF_IMAGE, end)
    struct.pack_into("<I", head, optional + _CHECKSUM, 0)
    (directories,) = struct.unpack_from("<I", head, optional + _DIRECTORY_COUNT)
    if directories > 4:
        struct.pack_into("<II", head, optional + _CERTIFICATE_DIRECTORY, 0, 0)
    for index, section in enumerate(placed):
        flags = _READ_EXECUTE_CODE if section.name == ".linux" else _READ_DATA
        name = section.name.encode()
        fields = (name, section.size, section.address, section.raw_size, section.offset, 0, 0, 0, 0, flags)
        SECTION_HEADER.pack_into(head, headers.section_table_end + index * SECTION_HEADER.size, *fields)
    return bytes(head)


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _copy(content: bytes | Path, section: PlacedSection, image: BinaryIO) -> None:
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        shutil.copyfileobj(source, image, 1 << 20)
    if image.tell() != section.offset + section.size:
        raise DiskError("DISK_WRITE_FAILED", f"the content of {section.name} changed while it was copied")
