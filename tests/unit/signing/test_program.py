"""Signing EFI programs: other tools find the signature right, and it is the same every time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from image_composer.disk.pe import read_pe_headers
from image_composer.errors import ToolError
from image_composer.run import Runner
from image_composer.signing.program import ROOM, sign_program
from support.disks import say
from support.keys import KeyPair, make_keys
from support.pe import make_program

SIGNED_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def signed(keys: KeyPair, folder: Path, name: str = "signed.efi", content: bytes | None = None) -> bytes:
    source = folder / "program.efi"
    source.write_bytes(make_program() if content is None else content)
    sign_program(source, folder / name, keys.opened(folder), SIGNED_AT, tools=Runner())
    return (folder / name).read_bytes()


def test_other_tools_find_the_signature_right(keys: KeyPair, tmp_path: Path) -> None:
    signed(keys, tmp_path)
    assert "Signature verification OK" in say("sbverify", "--cert", keys.certificate, tmp_path / "signed.efi")


def test_signing_twice_gives_the_same_bytes_whatever_was_there(keys: KeyPair, tmp_path: Path) -> None:
    one = signed(keys, tmp_path)
    assert signed(keys, tmp_path) == one
    assert signed(keys, tmp_path, "another.efi") == one
    assert signed(keys, tmp_path, content=one) == one


def test_only_the_signature_the_checksum_and_the_way_to_it_are_new(keys: KeyPair, tmp_path: Path) -> None:
    before, after = make_program(), signed(keys, tmp_path)
    headers = read_pe_headers(after)
    offset, size = headers.signatures
    assert (offset, offset + size) == (len(before), len(after))
    blank = bytearray(after[:offset])
    for place, length in ((headers.checksum, 4), (headers.signature_entry, 8)):
        blank[place : place + length] = before[place : place + length]
    assert bytes(blank) == before


def test_a_signature_with_the_largest_key_fits_the_room_that_is_kept_for_it(tmp_path: Path) -> None:
    large = make_keys(tmp_path, "-addext", f"nsComment={'x' * 8000}", kind="rsa:4096")
    assert len(large.pem) < 16384
    assert len(signed(large, tmp_path)) - len(make_program()) < ROOM


def test_what_is_no_program_is_not_signed(keys: KeyPair, tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        signed(keys, tmp_path, content=b"no program")
