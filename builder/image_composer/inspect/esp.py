"""Reads the EFI system partition inside an image, with mtools, and the unified kernel images on it."""

from __future__ import annotations

import tempfile
from typing import IO

from image_composer.disk.authenticode import HEADERS_SIZE, read_signatures
from image_composer.disk.pe import PeFormatError, PeSection, read_pe_headers
from image_composer.inspect.model import ProgramFound, SignatureFound, UkiFound
from image_composer.inspect.raw import RawImage, corrupted

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


def read_file(image: RawImage, offset: int, path: str) -> bytes:
    """Give the content of a file of a FAT file system.

    Raises:
        InspectError: INSPECT_CORRUPTED.
    """
    done = image.run(["mcopy", "-i", f"{image.name}@@{offset}", f"::{path}", "-"])
    if done.returncode != 0:
        raise corrupted(image.path, f"{path} on its EFI system partition can't be read")
    return done.stdout


def read_program(image: RawImage, offset: int, path: str) -> tuple[ProgramFound, UkiFound | None]:
    """Read who has signed an EFI program, and what it says about itself when it is a unified kernel image.

    Raises:
        InspectError: INSPECT_CORRUPTED.
    """
    with tempfile.TemporaryFile() as copy:
        done = image.run(["mcopy", "-i", f"{image.name}@@{offset}", f"::{path}", "-"], stdout=copy)
        if done.returncode != 0:
            raise corrupted(image.path, f"{path} on its EFI system partition can't be read")
        copy.seek(0)
        try:
            headers = read_pe_headers(copy.read(HEADERS_SIZE))
        except PeFormatError as error:
            raise corrupted(image.path, f"{path} on its EFI system partition is no EFI program: {error}") from error
        program = ProgramFound(path=path, signatures=_signatures(copy))
        sections = {section.name: section for section in headers.sections}
        if ".linux" not in sections:
            return program, None
        return program, UkiFound(
            path=path,
            kernel_version=_text(copy, sections.get(".uname")),
            command_line=_text(copy, sections.get(".cmdline")),
        )


def _signatures(program: IO[bytes]) -> list[SignatureFound]:
    try:
        found = read_signatures(program)
    except PeFormatError:
        return [SignatureFound(signer=None, fingerprint=None, holds=False)]
    return [
        SignatureFound(signer=each.signer.subject, fingerprint=each.signer.fingerprint, holds=each.holds)
        for each in found
    ]


def _text(program: IO[bytes], section: PeSection | None) -> str | None:
    if section is None:
        return None
    program.seek(section.raw_offset)
    content = program.read(min(section.virtual_size, section.raw_size, _LARGEST_TEXT))
    return content.rstrip(b"\0\n").decode("utf-8", "replace")
