from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from image_composer.errors import RepositoryError
from image_composer.package.rpm_header import RSA_HEADER, SHA256_HEADER
from image_composer.package.rpm_signature import verify_rpm
from image_composer.run import Runner
from support.openpgp import Key, Keychain
from support.rawrpms import RawRpm, flip, minimal, payload_start, signed, with_signature_tags
from support.rpmbuild import Rpm, make_rpm, rpm_accepts, sign_rpm

BORN = datetime(2025, 3, 26, tzinfo=UTC)


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rpm(Rpm("tool", files={"usr/bin/tool": "#!/bin/sh\n"}), tmp_path_factory.mktemp("unsigned"))


@pytest.fixture
def tool(unsigned: Path, tmp_path: Path, keychain: Keychain, key: Key) -> Path:
    """A package signed by the key."""
    return sign_rpm(copied(unsigned, tmp_path), keychain, key)


def copied(file: Path, folder: Path) -> Path:
    return Path(shutil.copy(file, folder))


def verify(file: Path, *keys: Key) -> tuple[str, ...]:
    public = [key.public for key in keys]
    return verify_rpm(file, public, runner=Runner(), repository="base", package="tool 1.0-1")


def refused(file: Path, *keys: Key) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        verify(file, *keys)
    assert caught.value.message.startswith("repository base: package tool 1.0-1 ")
    return caught.value


def test_a_signed_package_is_taken_as_rpm_takes_it(tool: Path, key: Key) -> None:
    assert verify(tool, key) == (key.fingerprint,)
    assert rpm_accepts(tool, key)


@pytest.mark.parametrize("algorithm", ["ed25519", "rsa4096"])
def test_what_a_key_signs_by_does_not_matter(
    unsigned: Path, tmp_path: Path, keychain: Keychain, algorithm: str
) -> None:
    other = keychain.make(algorithm, algorithm=algorithm)
    file = sign_rpm(copied(unsigned, tmp_path), keychain, other)
    assert verify(file, other) == (other.fingerprint,)
    assert rpm_accepts(file, other)


def test_an_unsigned_package_is_refused(unsigned: Path, key: Key) -> None:
    assert refused(unsigned, key).code == "REPO_UNSIGNED"
    assert not rpm_accepts(unsigned, key)


def test_another_keys_package_is_refused_and_the_key_named(tool: Path, key: Key, other_key: Key) -> None:
    error = refused(tool, other_key)
    assert error.code == "REPO_KEY_UNKNOWN"
    assert key.fingerprint in (error.hint or "")
    assert not rpm_accepts(tool, other_key)


@pytest.mark.parametrize("where", ["header", "payload", "end"])
def test_a_changed_package_is_refused(tool: Path, key: Key, where: str) -> None:
    start = payload_start(tool)
    flip(tool, {"header": start - 100, "payload": start, "end": tool.stat().st_size - 1}[where])
    assert refused(tool, key).code == "REPO_SIGNATURE_INVALID"
    assert not rpm_accepts(tool, key)


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"\0"])
def test_a_package_that_is_longer_or_shorter_is_refused(tool: Path, key: Key, change: Callable[[bytes], bytes]) -> None:
    tool.write_bytes(change(tool.read_bytes()))
    assert refused(tool, key).code == "REPO_SIGNATURE_INVALID"


def test_a_changed_header_is_refused_though_its_digest_was_changed_too(
    tmp_path: Path, keychain: Keychain, key: Key
) -> None:
    real, evil = RawRpm(minimal()), RawRpm(minimal(version="6.6"))
    signature = keychain.detach(real.header(), key, armoured=False)
    digest = hashlib.sha256(evil.header()).hexdigest()
    file = RawRpm(evil.main, signatures={RSA_HEADER: signature, SHA256_HEADER: digest}).write(tmp_path)
    assert refused(file, key).code == "REPO_SIGNATURE_INVALID"


def test_a_header_that_does_not_fit_its_digest_is_refused(tmp_path: Path, keychain: Keychain, key: Key) -> None:
    file = signed(RawRpm(minimal(), signatures={SHA256_HEADER: "0" * 64}), keychain, key, tmp_path)
    assert "does not fit its digest" in refused(file, key).message


def test_a_key_that_expired_later_still_counts(unsigned: Path, tmp_path: Path, keychain: Keychain) -> None:
    first = keychain.make("of-2025", created=BORN, expires="365d")
    second = keychain.make("of-2026", created=BORN + timedelta(days=355))
    old = sign_rpm(copied(unsigned, tmp_path), keychain, first, at=BORN + timedelta(days=100))
    assert verify(old, first, second) == (first.fingerprint,)
    (tmp_path / "new").mkdir()
    new = sign_rpm(copied(unsigned, tmp_path / "new"), keychain, second, at=BORN + timedelta(days=400))
    assert verify(new, first, second) == (second.fingerprint,)


def test_a_key_that_had_expired_before_is_refused(unsigned: Path, tmp_path: Path, keychain: Keychain) -> None:
    short = keychain.make("too-short", created=BORN, expires="365d")
    keychain.prolong(short, "10y", at=BORN + timedelta(hours=1))
    file = sign_rpm(copied(unsigned, tmp_path), keychain, short, at=BORN + timedelta(days=400))
    error = refused(file, short)
    assert error.code == "REPO_KEY_EXPIRED"
    assert "after the key had expired on 2026-03-26" in error.message


def test_a_signature_of_the_old_kind_alone_is_refused_and_the_reason_said(
    unsigned: Path, tmp_path: Path, keychain: Keychain, key: Key
) -> None:
    file = sign_rpm(copied(unsigned, tmp_path), keychain, key, old_too=True)
    assert verify(file, key) == (key.fingerprint,)
    with_signature_tags(file, {RSA_HEADER: 4711})
    error = refused(file, key)
    assert error.code == "REPO_SIGNATURE_INVALID"
    assert "over header and payload at once" in error.message


def test_a_signature_by_sha1_is_refused(unsigned: Path, tmp_path: Path, keychain: Keychain, key: Key) -> None:
    error = refused(sign_rpm(copied(unsigned, tmp_path), keychain, key, digest="sha1"), key)
    assert (error.code, "SHA-1" in error.message) == ("REPO_SIGNATURE_INVALID", True)


@pytest.mark.parametrize("algorithm", [1, 2, 3, 11, 0, 77, None])
def test_a_payload_vouched_for_by_a_weak_digest_is_refused(
    tmp_path: Path, keychain: Keychain, key: Key, algorithm: int | None
) -> None:
    digest = [hashlib.sha1(b"payload").hexdigest()]
    file = signed(RawRpm(minimal(digest=digest, algorithm=algorithm)), keychain, key, tmp_path)
    assert "no SHA-256 or stronger digest" in refused(file, key).message


def test_a_payload_that_nothing_vouches_for_is_refused(tmp_path: Path, keychain: Keychain, key: Key) -> None:
    file = signed(RawRpm(minimal(digest=None)), keychain, key, tmp_path)
    assert refused(file, key).code == "REPO_SIGNATURE_INVALID"


@pytest.mark.parametrize(("algorithm", "name"), [(8, "sha256"), (9, "sha384"), (10, "sha512")])
def test_strong_digests_are_taken(tmp_path: Path, keychain: Keychain, key: Key, algorithm: int, name: str) -> None:
    digest = [hashlib.new(name, b"payload").hexdigest()]
    file = signed(RawRpm(minimal(digest=digest, algorithm=algorithm)), keychain, key, tmp_path)
    assert verify(file, key) == (key.fingerprint,)


def test_signatures_in_the_form_of_rpm_6_are_taken(tmp_path: Path, keychain: Keychain, key: Key) -> None:
    rpm = RawRpm(minimal())
    signature = base64.b64encode(keychain.detach(rpm.header(), key, armoured=False)).decode()
    assert verify(RawRpm(rpm.main, signatures={278: [signature]}).write(tmp_path), key) == (key.fingerprint,)
    broken = RawRpm(rpm.main, signatures={278: ["?" + signature]}).write(tmp_path)
    with pytest.raises(RepositoryError, match="base 64"):
        verify(broken, key)


def test_a_bad_signature_beside_a_good_one_is_refused(
    tmp_path: Path, keychain: Keychain, key: Key, other_key: Key
) -> None:
    rpm = RawRpm(minimal())
    good = keychain.detach(rpm.header(), key, armoured=False)
    bad = keychain.detach(b"else", other_key, armoured=False)
    file = RawRpm(rpm.main, signatures={267: bad, 268: good}).write(tmp_path)
    assert refused(file, key, other_key).code == "REPO_SIGNATURE_INVALID"


def test_a_signed_message_in_place_of_a_signature_is_refused(tmp_path: Path, keychain: Keychain, key: Key) -> None:
    """It is good by itself; only, it is not about this package."""
    message = keychain.attach(b"hello", key)
    error = refused(RawRpm(minimal(), signatures={268: message}).write(tmp_path), key)
    assert "something else in place of a signature" in error.message


@pytest.mark.parametrize("signature", [b"", b"\x00garbage", b"\x88", b"\xc2\xff\xff\xff\xff\xff\x04"])
def test_garbage_in_place_of_a_signature_is_refused(tmp_path: Path, key: Key, signature: bytes) -> None:
    file = RawRpm(minimal(), signatures={268: signature or b"\0"}).write(tmp_path)
    assert refused(file, key).code in {"REPO_SIGNATURE_INVALID", "REPO_UNSIGNED"}


def test_garbage_after_a_signature_is_refused(tmp_path: Path, keychain: Keychain, key: Key) -> None:
    rpm = RawRpm(minimal())
    signature = keychain.detach(rpm.header(), key, armoured=False)
    assert refused(RawRpm(rpm.main, signatures={268: signature + b"\0"}).write(tmp_path), key)
