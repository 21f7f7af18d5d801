from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from image_composer.errors import RepositoryError
from image_composer.repository.openpgp import verify_clearsigned, verify_detached
from image_composer.run import Runner
from support.debrepo import PUBLISHED
from support.openpgp import Key, Keychain

CONTENT = b"Origin: Tests\nSuite: stable\n- dashed\n"


def verify(document: bytes, runner: Runner, *keys: bytes) -> tuple[bytes, tuple[str, ...]]:
    signed = verify_clearsigned(document, keys, runner=runner, repository="main")
    return signed.content, signed.fingerprints


def failure(document: bytes, runner: Runner, *keys: bytes) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        verify(document, runner, *keys)
    return caught.value


def test_a_signed_text_is_given_without_its_signature(keychain: Keychain, key: Key, runner: Runner) -> None:
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED)
    assert verify(document, runner, key.public) == (CONTENT, (key.fingerprint,))


def test_a_detached_signature_is_as_good(keychain: Keychain, key: Key, runner: Runner) -> None:
    signature = keychain.detach(CONTENT, key, at=PUBLISHED)
    signed = verify_detached(CONTENT, signature, [key.public], runner=runner, repository="main")
    assert (signed.content, signed.fingerprints) == (CONTENT, (key.fingerprint,))


def test_a_detached_signature_of_something_else_is_refused(keychain: Keychain, key: Key, runner: Runner) -> None:
    signature = keychain.detach(CONTENT, key, at=PUBLISHED)
    with pytest.raises(RepositoryError) as caught:
        verify_detached(CONTENT + b"more", signature, [key.public], runner=runner, repository="main")
    assert caught.value.code == "REPO_SIGNATURE_INVALID"


def test_an_empty_detached_signature_is_none(key: Key, runner: Runner) -> None:
    with pytest.raises(RepositoryError) as caught:
        verify_detached(CONTENT, b"", [key.public], runner=runner, repository="main")
    assert caught.value.code == "REPO_UNSIGNED"


def test_one_known_key_among_several_signers_is_enough(
    keychain: Keychain, key: Key, other_key: Key, runner: Runner
) -> None:
    document = keychain.clearsign(CONTENT, other_key, key, at=PUBLISHED)
    assert verify(document, runner, key.public) == (CONTENT, (key.fingerprint,))


def test_all_known_signers_are_named(keychain: Keychain, key: Key, other_key: Key, runner: Runner) -> None:
    document = keychain.clearsign(CONTENT, other_key, key, at=PUBLISHED)
    expected = tuple(sorted([key.fingerprint, other_key.fingerprint]))
    assert verify(document, runner, key.public + other_key.public)[1] == expected


def test_a_binary_certificate_is_as_good_as_an_armoured_one(keychain: Keychain, key: Key, runner: Runner) -> None:
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED)
    binary = keychain.public(key.fingerprint, armoured=False)
    assert verify(document, runner, binary) == (CONTENT, (key.fingerprint,))


def test_an_unsigned_text_is_refused(key: Key, runner: Runner) -> None:
    assert failure(CONTENT, runner, key.public).code == "REPO_UNSIGNED"


def test_an_unknown_key_is_named_with_what_to_do(keychain: Keychain, key: Key, other_key: Key, runner: Runner) -> None:
    error = failure(keychain.clearsign(CONTENT, other_key, at=PUBLISHED), runner, key.public)
    assert error.code == "REPO_KEY_UNKNOWN"
    assert other_key.fingerprint in (error.hint or "")


def test_a_changed_text_is_refused(keychain: Keychain, key: Key, runner: Runner) -> None:
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED).replace(b"stable", b"stolen")
    assert failure(document, runner, key.public).code == "REPO_SIGNATURE_INVALID"


def test_an_expired_key_is_refused(keychain: Keychain, runner: Runner) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    expired = keychain.make("expired", created=past, expires="2d")
    document = keychain.clearsign(CONTENT, expired, at=datetime(2020, 1, 2, tzinfo=UTC))
    error = failure(document, runner, expired.public)
    assert error.code == "REPO_KEY_EXPIRED"
    assert error.message.startswith("repository main: InRelease is signed by key")


def test_a_revoked_key_is_refused(keychain: Keychain, runner: Runner) -> None:
    leaked = keychain.make("leaked")
    document = keychain.clearsign(CONTENT, leaked, at=PUBLISHED)
    assert failure(document, runner, keychain.revoke(leaked).public).code == "REPO_KEY_REVOKED"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Suite: other\n", b""),
        (b"", b"Suite: other\n"),
        (b"\n", b""),
        (b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nSuite: other\n", b""),
    ],
)
def test_text_around_the_signed_one_is_refused(
    keychain: Keychain, key: Key, runner: Runner, before: bytes, after: bytes
) -> None:
    document = before + keychain.clearsign(CONTENT, key, at=PUBLISHED) + after
    assert failure(document, runner, key.public).code == "REPO_SIGNATURE_INVALID"


def test_a_second_signed_text_is_refused(keychain: Keychain, key: Key, runner: Runner) -> None:
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED)
    assert failure(document + document, runner, key.public).code == "REPO_SIGNATURE_INVALID"


@pytest.mark.parametrize("key_file", [b"", b"no key", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n???\n-----END"])
def test_a_key_that_is_none_is_refused(keychain: Keychain, key: Key, runner: Runner, key_file: bytes) -> None:
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED)
    assert failure(document, runner, key_file).code == "REPO_KEY_INVALID"


def test_a_repository_without_keys_is_refused(keychain: Keychain, key: Key, runner: Runner) -> None:
    assert failure(keychain.clearsign(CONTENT, key, at=PUBLISHED), runner).code == "REPO_KEY_INVALID"


BORN = datetime(2020, 1, 1, tzinfo=UTC)
"""When the keys were made that have expired since."""

HOUR = timedelta(hours=1)


def verify_at_signing(signature: bytes, runner: Runner, *keys: Key) -> tuple[str, ...]:
    certificates = [key.public for key in keys]
    signed = verify_detached(CONTENT, signature, certificates, runner=runner, repository="edge", at_signing=True)
    return signed.fingerprints


def failure_at_signing(signature: bytes, runner: Runner, *keys: Key) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        verify_at_signing(signature, runner, *keys)
    return caught.value


def test_a_key_that_expired_after_signing_is_good_where_signatures_are_kept(
    keychain: Keychain, other_key: Key, runner: Runner
) -> None:
    expired = keychain.make("expired-later", created=BORN, expires="2d")
    signature = keychain.detach(CONTENT, expired, at=BORN + timedelta(days=1))
    assert verify_at_signing(signature, runner, expired, other_key) == (expired.fingerprint,)


def test_a_key_that_had_expired_before_signing_is_refused_with_both_dates(keychain: Keychain, runner: Runner) -> None:
    expired = keychain.make("expired-before", created=BORN, expires="2d")
    keychain.prolong(expired, "10y", at=BORN + HOUR)  # else it would not sign; the certificate we have is the old one
    error = failure_at_signing(keychain.detach(CONTENT, expired, at=BORN + timedelta(days=30)), runner, expired)
    assert error.code == "REPO_KEY_EXPIRED"
    assert error.message.endswith("on 2020-01-31, after the key had expired on 2020-01-03")


def test_the_key_that_took_an_expired_ones_place_is_good_beside_it(keychain: Keychain, runner: Runner) -> None:
    first = keychain.make("first", created=BORN, expires="2d")
    second = keychain.make("second", created=BORN + timedelta(days=2))
    old = keychain.detach(CONTENT, first, at=BORN + timedelta(days=1))
    new = keychain.detach(CONTENT, second, at=BORN + timedelta(days=3))
    assert verify_at_signing(old, runner, first, second) == (first.fingerprint,)
    assert verify_at_signing(new, runner, first, second) == (second.fingerprint,)


@pytest.mark.parametrize(("days", "code"), [(1, None), (3, "REPO_KEY_EXPIRED")])
def test_a_subkey_counts_for_as_long_as_it_is_valid_itself(
    keychain: Keychain, runner: Runner, days: int, code: str | None
) -> None:
    primary = keychain.make(f"primary-{days}", created=BORN)
    keychain.add_subkey(primary, "2d", at=BORN)
    short = keychain.public(primary.fingerprint)
    keychain.prolong(primary, "10y", "*", at=BORN + HOUR)
    signature = keychain.detach(CONTENT, primary, at=BORN + timedelta(days=days))
    known = Key(primary.fingerprint, short)
    if code is None:
        assert verify_at_signing(signature, runner, known) == (primary.fingerprint,)
    else:
        assert failure_at_signing(signature, runner, known).code == code


def test_a_subkey_does_not_outlive_its_primary_key(keychain: Keychain, runner: Runner) -> None:
    primary = keychain.make("short-lived", created=BORN, expires="2d")
    keychain.add_subkey(primary, "10y", at=BORN)
    short = keychain.public(primary.fingerprint)
    keychain.prolong(primary, "10y", at=BORN + HOUR)
    signature = keychain.detach(CONTENT, primary, at=BORN + timedelta(days=3))
    assert failure_at_signing(signature, runner, Key(primary.fingerprint, short)).code == "REPO_KEY_EXPIRED"


def test_a_signature_of_the_future_is_refused_where_signatures_are_kept(
    keychain: Keychain, key: Key, runner: Runner
) -> None:
    signature = keychain.detach(CONTENT, key, at=datetime(2100, 1, 1, tzinfo=UTC))
    error = failure_at_signing(signature, runner, key)
    assert error.code == "REPO_SIGNATURE_INVALID"
    assert "2100-01-01, which is in the future" in error.message


def test_a_signature_older_than_its_key_is_refused(keychain: Keychain, runner: Runner) -> None:
    young = keychain.make("young", created=BORN + timedelta(days=30))
    signature = keychain.detach(CONTENT, young, at=BORN, before_the_key=True)
    error = failure_at_signing(signature, runner, young)
    assert error.code == "REPO_SIGNATURE_INVALID"
    assert "older than the key" in error.message


def test_a_revoked_key_is_refused_for_what_it_signed_before_too(keychain: Keychain, runner: Runner) -> None:
    leaked = keychain.make("leaked-later", created=BORN, expires="2d")
    signature = keychain.detach(CONTENT, leaked, at=BORN + timedelta(days=1))
    assert failure_at_signing(signature, runner, keychain.revoke(leaked)).code == "REPO_KEY_REVOKED"


def test_a_subkey_is_not_measured_by_one_that_expired_before_it(keychain: Keychain, runner: Runner) -> None:
    primary = keychain.make("rotating", created=BORN)
    keychain.add_subkey(primary, "2d", at=BORN)
    keychain.add_subkey(primary, "20d", at=BORN + timedelta(days=5))
    signature = keychain.detach(CONTENT, primary, at=BORN + timedelta(days=6))
    rotated = Key(primary.fingerprint, keychain.public(primary.fingerprint))
    assert verify_at_signing(signature, runner, rotated) == (primary.fingerprint,)


def test_a_signature_by_sha1_is_refused_and_the_reason_said(keychain: Keychain, key: Key, runner: Runner) -> None:
    error = failure_at_signing(keychain.detach(CONTENT, key, at=PUBLISHED, digest="SHA1"), runner, key)
    assert error.code == "REPO_SIGNATURE_INVALID"
    assert "SHA-1" in error.message
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED, digest="SHA1")
    assert "SHA-1" in failure(document, runner, key.public).message


def test_a_key_that_describes_itself_by_sha1_may_sign(keychain: Keychain, runner: Runner) -> None:
    key = keychain.make("old-fashioned", certified_by="SHA1")
    document = keychain.clearsign(CONTENT, key, at=PUBLISHED)
    assert verify(document, runner, key.public) == (CONTENT, (key.fingerprint,))
