"""Reads the EFI system partition inside an image, with mtools, and the unified kernel images on it."""

from __future__ import annotations

import tempfile
from typing import IO

from image_composer.disk.pe import PeFormatError, PeSection, read_pe_headers
from image_composer.inspect.model import UkiFound
from image_composer.inspect.raw import RawImage, corrupted

_HEADERS_SIZE = 16 * 1024
"""Bytes read for a PE file's headers, which fill one or two file alignments of 512 bytes."""

_LARGEST_TEXT = 1024 * 1024
"""Bytes; a section of text that is larger is not one."""


def list_files(image: RawImage, offset: int) -> list[str]:
    """Give the paths of all files of a FAT file system, sorted.

    Raises:
        InspectError: INSPECT_CORRUPTED.
    """
    done = image.run(["mdir", "-b", "-/", "-i", f"{image.name}@@{offset}", "::/"])
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["mdir failed"]
        raise corrupted(image.path, f"the file system at byte {offset} can't be read: {said[0]}")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return sorted(line.removeprefix("::") for line in lines if line.strip() and not line.endswith("/"))


def read_uki(image: RawImage, offset: int, path: str) -> UkiFound | None:
    """Read what a unified kernel image says about itself; None for EFI programs that are none.

    Raises:
        InspectError: INSPECT_CORRUPTED.
    """
    with tempfile.TemporaryFile() as copy:
        done = image.run(["mcopy", "-i", f"{image.name}@@{offset}", f"::{path}", "-"], stdout=copy)
        if done.returncode != 0:
            raise corrupted(image.path, f"{path} on its EFI system partition can't be read")
        copy.seek(0)
        try:
            headers = read_pe_headers(copy.read(_HEADERS_SIZE))
        except PeFormatError as error:
            raise corrupted(image.path, f"{path} on its EFI system partition is no EFI program: {error}") from error
        sections = {section.name: section for section in headers.sections}
        if ".linux" not in sections:
            return None
        return UkiFound(
            path=path,
            kernel_version=_text(copy, sections.get(".uname")),
            command_line=_text(copy, sections.get(".cmdline")),
        )


def _text(program: IO[bytes], section: PeSection | None) -> str | None:
    if section is None:
        return None
    program.seek(section.raw_offset)
    content = program.read(min(section.virtual_size, section.raw_size, _LARGEST_TEXT))
    return content.rstrip(b"\0\n").decode("utf-8", "replace")
