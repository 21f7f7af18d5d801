"""Rpm packages as no tool makes them: with any tag, in any order, under any signature."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from image_composer.digest import bytes_sha256
from image_composer.package.rpm_header import read_package
from support.openpgp import Key, Keychain

INTRO = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"

Value = int | str | bytes | Sequence[str]
"""A 32-bit number, a string, bytes, or an array of strings."""


@dataclass(frozen=True)
class RawRpm:
    """A package of these parts."""

    main: Mapping[int, Value]
    """Tags of the header."""

    payload: bytes = b"payload"
    signatures: Mapping[int, Value] = field(default_factory=dict)
    """Tags of the header with the signatures."""

    name: str = "raw"

    def header(self) -> bytes:
        return header(self.main, region=63)

    def write(self, folder: Path) -> Path:
        """Write it into a folder."""
        signatures = header(self.signatures, region=62)
        lead = b"\xed\xab\xee\xdb\x03\x00".ljust(96, b"\0")
        path = folder / f"{self.name}.rpm"
        path.write_bytes(lead + signatures + b"\0" * (-len(signatures) % 8) + self.header() + self.payload)
        return path


def minimal(**changes: Value | None) -> dict[int, Value]:
    """Give the tags of a package that is as it should be, with the payload that it has by default."""
    numbers = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "architecture": 1022, "source": 1044}
    numbers |= {"digest": 5092, "algorithm": 5093}
    tags: dict[str, Value | None] = {
        "name": "raw",
        "version": "1.0",
        "release": "1",
        "architecture": "noarch",
        "source": "raw-1.0-1.src.rpm",
        "digest": [bytes_sha256(b"payload")],
        "algorithm": 8,
    }
    return {numbers[name]: value for name, value in (tags | changes).items() if value is not None}


def signed(rpm: RawRpm, keychain: Keychain, key: Key, folder: Path) -> Path:
    """Write a package with a signature over its header."""
    signature = keychain.detach(rpm.header(), key, armoured=False)
    return RawRpm(rpm.main, rpm.payload, {**rpm.signatures, 268: signature}, rpm.name).write(folder)


def with_signature_tags(file: Path, changes: Mapping[int, int]) -> None:
    """Give tags of a package's header with the signatures other numbers, in place."""
    content = bytearray(file.read_bytes())
    (count,) = struct.unpack_from(">I", content, 96 + 8)
    for place in range(96 + 16, 96 + 16 + 16 * count, 16):
        (tag,) = struct.unpack_from(">I", content, place)
        struct.pack_into(">I", content, place, changes.get(tag, tag))
    file.write_bytes(content)


def flip(file: Path, place: int) -> None:
    """Change a byte of a file."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def payload_start(file: Path) -> int:
    """Say where the payload of a package begins."""
    return read_package(file, file.name)[1].payload_start


def header(tags: Mapping[int, Value], region: int) -> bytes:
    """Give a header whose region covers all of it."""
    entries, store = [], b""
    for tag, value in sorted(tags.items()):
        kind, count, content = _encoded(value)
        if kind == 4:
            store += b"\0" * (-len(store) % 4)
        entries.append((tag, kind, len(store), count))
        store += content
    index = [(region, 7, len(store), 16), *entries]
    store += struct.pack(">IIiI", region, 7, -16 * len(index), 16)
    packed = b"".join(struct.pack(">4I", *entry) for entry in index)
    return INTRO + struct.pack(">II", len(index), len(store)) + packed + store


def _encoded(value: Value) -> tuple[int, int, bytes]:
    if isinstance(value, int):
        return 4, 1, value.to_bytes(4, "big")
    if isinstance(value, str):
        return 6, 1, value.encode() + b"\0"
    if isinstance(value, bytes):
        return 7, len(value), value
    return 8, len(value), b"".join(text.encode() + b"\0" for text in value)
