"""How a program of the host is started where its own libraries aren't: by its dynamic loader, told where they are."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from image_composer.errors import ToolError

HOST = "/run/image-composer/host"
"""Where the root sees the host's `/usr`, read-only."""

PT_INTERP = 3
"""Type of the ELF program header that names the dynamic loader (System V ABI)."""

LIBRARY_FOLDERS = ("/usr/lib64", "/usr/lib")
"""Where distributions without folders by architecture keep libraries."""


def lent_program(path: Path) -> list[str]:
    """Give the words that start a program of the host as the root sees it.

    Args:
        path: the program.

    Raises:
        ToolError: TOOL_NOT_LENT, it is no 64-bit ELF program with a dynamic loader below /usr.
    """
    program = os.path.realpath(path)
    loader = os.path.realpath(_interpreter(Path(program)))
    for part in (program, loader):
        if not part.startswith("/usr/"):
            raise _not_lent(path, f"{part} is not below /usr")
    folders = dict.fromkeys([str(Path(loader).parent), *filter(os.path.isdir, LIBRARY_FOLDERS)])
    libraries = ":".join(f"{HOST}{folder}" for folder in folders)
    return [f"{HOST}{loader}", "--inhibit-cache", "--library-path", libraries, f"{HOST}{program}"]


def _interpreter(program: Path) -> Path:
    """Give the dynamic loader that an ELF program names."""
    with program.open("rb") as stream:
        header = stream.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise _not_lent(program, "it is no 64-bit little-endian ELF program")
        offset, size, count = *struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54)
        for number in range(count):
            stream.seek(offset + number * size)
            kind, _, start, _, _, length = struct.unpack("<IIQQQQ", stream.read(40))
            if kind == PT_INTERP:
                stream.seek(start)
                return Path(os.fsdecode(stream.read(length).rstrip(b"\0")))
    raise _not_lent(program, "it is linked statically")


def _not_lent(program: Path, reason: str) -> ToolError:
    return ToolError("TOOL_NOT_LENT", f"{program} of this machine can't be run in the root: {reason}")
