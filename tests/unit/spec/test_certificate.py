"""Certificates for Secure Boot: what is read of them, and which are refused, and why."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.spec.certificate import check_signing_certificate, read_certificate, read_pem
from image_composer.spec.der import DerError
from support.disks import say
from support.keys import KeyPair, make_keys
from support.specs import bare, problems


def asked(keys: KeyPair, *options: str) -> str:
    return say("openssl", "x509", "-in", keys.certificate, "-noout", *options).strip()


def test_a_certificate_says_here_what_it_says_to_openssl(keys: KeyPair) -> None:
    found = keys.read
    assert f"subject={found.subject.replace('=', ' = ')}" == asked(keys, "-subject")
    assert asked(keys, "-fingerprint", "-sha256").lower().replace(":", "").endswith(found.fingerprint)
    for option, time in (("-startdate", found.not_before), ("-enddate", found.not_after)):
        said = asked(keys, option).partition("=")[2]
        assert datetime.strptime(said, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=time.tzinfo) == time
    assert (found.rsa.bits if found.rsa else None) == 2048
    assert found.pem == keys.pem
    assert check_signing_certificate(keys.pem) == keys.pem


def test_times_of_this_century_and_the_one_before_are_told_apart(tmp_path: Path) -> None:
    long = make_keys(tmp_path, "-days", "20000").read
    assert long.not_after.year > 2050


def test_keys_that_firmware_takes_no_signatures_of_are_refused(tmp_path: Path) -> None:
    kinds = {"rsa:1024": "RSA key of 1024 bits", "ED25519": "not RSA"}
    for kind, why in kinds.items():
        with pytest.raises(ValueError, match=why):
            check_signing_certificate(make_keys(tmp_path, kind=kind).pem)


def test_a_certificate_that_is_not_for_signing_is_refused(tmp_path: Path) -> None:
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    with pytest.raises(ValueError, match="digitalSignature"):
        check_signing_certificate(make_keys(tmp_path, "-addext", usage).pem)
    signs = make_keys(tmp_path, "-addext", "keyUsage=critical,digitalSignature").pem
    assert check_signing_certificate(signs) == signs


def test_what_is_no_certificate_is_refused_without_being_repeated(keys: KeyPair) -> None:
    pem, private = keys.pem, keys.key.read_text()
    shortened = "\n".join(line for number, line in enumerate(pem.splitlines()) if number != 5)
    for text, why in {
        "": "must be one certificate",
        "secret": "must be one certificate",
        pem + pem: "must be one certificate",
        pem.replace("\nMI", "\n??"): "must be one certificate",
        pem.replace("\nMI", "\n=="): "is damaged",
        shortened: "is damaged",
        pem.replace("CERTIFICATE", "PUBLIC KEY"): "must be one certificate",
        private: "private key",
        pem + private: "private key",
    }.items():
        [said] = problems(bare(secureBoot={"certificate": text}))
        assert said.startswith("secureBoot.certificate: ")
        assert why in said
        assert not any(line in said for line in text.splitlines() if line)


@given(content=st.binary(max_size=200))
def test_bytes_are_a_certificate_or_refused(content: bytes) -> None:
    with suppress(DerError):
        read_certificate(content)


@given(data=st.data())
def test_a_changed_certificate_is_read_or_refused(keys: KeyPair, data: st.DataObject) -> None:
    content = bytearray(read_pem(keys.pem).der)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    with suppress(DerError):
        read_certificate(bytes(content[: data.draw(st.integers(0, len(content)))]))
