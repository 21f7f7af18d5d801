"""EFI stubs made by hand, for tests on machines without systemd's."""

import struct
from collections.abc import Sequence

HEADERS = 0x400
"""Bytes of headers, as in the stub of systemd 252."""


def make_stub(
    *,
    image_base: int = 0,
    section_alignment: int = 0x1000,
    names: Sequence[str] = (".text", ".data", ".sbat"),
    trailing: bytes = b"",
    signatures: tuple[int, int] = (0x5000, 77),
) -> bytes:
    """Give a PE32+ file with sections of 600 bytes and nothing that could run.

    Args:
        image_base: where it wants to be in memory.
        section_alignment: of its sections in memory.
        names: of its sections.
        trailing: what comes after them.
        signatures: where its headers say that signatures are, and how long: a lie unless `trailing` has them.
    """
    pe, optional_size = 0x80, 240
    raw_size = 0x400
    optional = struct.pack(
        "<HBBIIIIIQII6HIIIIHHQQQQII",
        *(0x20B, 2, 40, 0x1000, 0x2000, 0, 0x1000, 0x1000, image_base, section_alignment, 0x200),
        *(0, 0, 0, 0, 0, 0),
        *(0, 0x9000, HEADERS, 0xABCDEF, 10, 0x160, 0, 0, 0, 0, 0, 16),
    )
    directories = b"".join(struct.pack("<II", *signatures) if index == 4 else bytes(8) for index in range(16))
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, len(names), 0x66666666, 0x7777, 88, optional_size, 0x206)
    table = b"".join(
        struct.pack(
            "<8sIIIIIIHHI",
            name.encode(),
            *(600, 0x1000 * (index + 1), raw_size, HEADERS + index * raw_size, 0, 0, 0, 0, 0x40000040),
        )
        for index, name in enumerate(names)
    )
    dos = (b"MZ" + bytes(0x3A) + struct.pack("<I", pe)).ljust(pe, b"\0")
    headers = (dos + coff + optional + directories + table).ljust(HEADERS, b"\0")
    contents = b"".join((name.encode() * 600)[:600].ljust(raw_size, b"\0") for name in names)
    return headers + contents + trailing


def make_program(trailing: bytes = b"") -> bytes:
    """Give one that nobody has signed."""
    return make_stub(trailing=trailing, signatures=(0, 0))
