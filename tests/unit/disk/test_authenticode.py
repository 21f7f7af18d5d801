"""Signatures of EFI programs, held against what other programs say of them."""

from __future__ import annotations

import io
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.disk.authenticode import program_digest, read_signatures
from image_composer.disk.pe import PeFormatError, read_pe_headers
from support.disks import say
from support.keys import KeyPair
from support.pe import make_program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "program.efi"
    path.write_bytes(make_program(trailing=b"what comes after the sections"))
    return path


@pytest.fixture(scope="module")
def signed(program: Path, keys: KeyPair) -> bytes:
    """The program, signed by sbsign, which knows nothing of our ways."""
    path = program.with_name("signed.efi")
    say("sbsign", "--key", keys.key, "--cert", keys.certificate, "--output", path, program)
    return path.read_bytes()


def opened(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


def test_a_program_that_nobody_signed_has_no_signatures(program: Path) -> None:
    assert read_signatures(opened(program.read_bytes())) == []


def test_a_signature_says_who_made_it_and_that_it_holds(signed: bytes, keys: KeyPair) -> None:
    [found] = read_signatures(opened(signed))
    assert (found.signer, found.holds) == (keys.read, True)


def test_signing_does_not_change_what_is_signed(program: Path, signed: bytes) -> None:
    assert program_digest(opened(signed)) == program_digest(opened(program.read_bytes()))


@given(data=st.data())
def test_a_changed_byte_of_the_program_makes_the_signature_void(signed: bytes, data: st.DataObject) -> None:
    headers = read_pe_headers(signed)
    free = {*range(headers.checksum, headers.checksum + 4)}
    first = read_pe_headers(signed).section_table_end
    place = data.draw(st.integers(first, headers.signatures[0] - 1).filter(lambda place: place not in free))
    changed = bytearray(signed)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert [found.holds for found in read_signatures(opened(bytes(changed)))] == [False]


@given(data=st.data())
def test_a_changed_signature_is_void_or_unreadable(signed: bytes, keys: KeyPair, data: st.DataObject) -> None:
    offset, size = read_pe_headers(signed).signatures
    length = int.from_bytes(signed[offset : offset + 4], "little")
    assert length <= size
    changed = bytearray(signed)
    changed[data.draw(st.integers(offset + 8, offset + length - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(PeFormatError):
        found = read_signatures(opened(bytes(changed)))
        # What the signature says of itself beside the signed attributes, such as the certificate's, isn't signed.
        assert all(not each.holds or each.signer.public_key == keys.read.public_key for each in found)


@given(data=st.data())
def test_damaged_programs_are_refused_and_nothing_worse(signed: bytes, data: st.DataObject) -> None:
    changed = bytearray(signed)
    for place in data.draw(st.lists(st.integers(0, len(signed) - 1), max_size=6)):
        changed[place] = data.draw(st.integers(0, 255))
    with suppress(PeFormatError):
        read_signatures(opened(bytes(changed[: data.draw(st.integers(0, len(signed)))])))


def test_bytes_after_the_signatures_are_not_taken_for_signed(signed: bytes) -> None:
    with pytest.raises(PeFormatError, match="not at its end"):
        read_signatures(opened(signed + bytes(8)))


def test_another_certificates_key_does_not_hold(program: Path, signed: bytes, keys: KeyPair, tmp_path: Path) -> None:
    # The same names and number, another key: the certificate is swapped, the signature stays.
    other = tmp_path / "other.crt"
    number = f"0x{keys.read.serial:x}"
    options = ("-x509", "-sha256", "-nodes", "-subj", "/CN=Gate Secure Boot/O=Example", "-set_serial", number)
    say("openssl", "req", *options, "-newkey", "rsa:2048", "-keyout", tmp_path / "other.key", "-out", other)
    forged = tmp_path / "forged.efi"
    say("sbsign", "--key", tmp_path / "other.key", "--cert", other, "--output", forged, program)
    assert subprocess.run(["sbverify", "--cert", keys.certificate, forged], check=False, capture_output=True).returncode
    [found] = read_signatures(opened(forged.read_bytes()))
    assert found.holds
    assert found.signer.fingerprint != keys.read.fingerprint
