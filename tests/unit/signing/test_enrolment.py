"""The files by which firmware takes our certificate, held against the layout that the UEFI specification gives."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from image_composer.run import Runner
from image_composer.signing.enrolment import ROOM, VARIABLES, enrolment_file, signature_list
from image_composer.spec import der
from support.disks import say
from support.keys import KeyPair, make_keys

SIGNED_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def made(name: str, keys: KeyPair, folder: Path) -> bytes:
    return enrolment_file(name, keys.opened(folder), SIGNED_AT, tools=Runner())


def test_a_list_holds_the_certificate_and_who_owns_it(keys: KeyPair) -> None:
    content = signature_list(keys.read)
    kind, size, header, entry = struct.unpack_from("<16sIII", content)
    assert UUID(bytes_le=kind) == UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
    assert (size, header, entry) == (len(content), 0, 16 + len(keys.read.der))
    assert content[28 + 16 :] == keys.read.der


@pytest.mark.parametrize("name", VARIABLES)
def test_the_new_content_of_a_variable_is_signed_with_its_name_and_time(
    name: str, keys: KeyPair, tmp_path: Path
) -> None:
    content = made(name, keys, tmp_path)
    time, length, revision, kind, guid = struct.unpack_from("<16sIHH16s", content)
    assert time == struct.pack("<H5B9x", 2026, 5, 4, 3, 2, 1)
    assert (revision, kind) == (0x0200, 0x0EF1)
    assert UUID(bytes_le=guid) == UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
    blob, listed = content[40 : 16 + length], content[16 + length :]
    assert listed == signature_list(keys.read)
    signed = name.encode("utf-16-le") + VARIABLES[name].bytes_le + b"\x27\0\0\0" + time + listed
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "signature").write_bytes(wrapped(blob))
    options = ("-inform", "DER", "-in", tmp_path / "signature", "-content", tmp_path / "signed", "-binary")
    say("openssl", "smime", "-verify", *options, "-noverify", "-certfile", keys.certificate, "-out", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == signed


def wrapped(blob: bytes) -> bytes:
    """Give a SignedData with what says that it is one, as openssl wants it."""
    kind = bytes.fromhex("06092a864886f70d010702")
    inner = kind + b"\xa0\x82" + len(blob).to_bytes(2, "big") + blob
    return b"\x30\x82" + len(inner).to_bytes(2, "big") + inner


def test_the_signature_names_its_digest_where_firmware_looks_for_it(keys: KeyPair, tmp_path: Path) -> None:
    blob = made("db", keys, tmp_path)[40:]
    [version, digests, *_] = der.element(blob, trailing=True).children()
    assert version.content == b"\x01"
    assert der.object_id(digests.children()[0].children()[0]) == "2.16.840.1.101.3.4.2.1"
    assert blob[13:22] == bytes.fromhex("608648016503040201")


def test_making_it_twice_gives_the_same_bytes(keys: KeyPair, tmp_path: Path) -> None:
    assert made("PK", keys, tmp_path) == made("PK", keys, tmp_path)


def test_a_file_with_the_largest_certificate_fits_the_room_that_is_kept_for_it(tmp_path: Path) -> None:
    large = make_keys(tmp_path, "-addext", f"nsComment={'x' * 8000}", kind="rsa:4096")
    assert len(made("db", large, tmp_path)) < ROOM
