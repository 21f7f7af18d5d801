from __future__ import annotations

from datetime import UTC, datetime

import pytest

from image_composer.errors import RepositoryError
from image_composer.repository.openpgp import judge, verify_clearsigned, verify_detached
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


def test_a_bad_signature_is_fatal_beside_a_good_one() -> None:
    status = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG AA a\n[GNUPG:] VALIDSIG AAAA\n[GNUPG:] NEWSIG\n[GNUPG:] BADSIG BB b\n"
    with pytest.raises(RepositoryError) as caught:
        judge(status, "InRelease")
    assert caught.value.code == "REPO_SIGNATURE_INVALID"
    assert "BB" in caught.value.message


def test_a_signature_that_can_not_be_checked_is_not_taken_for_a_missing_key() -> None:
    with pytest.raises(RepositoryError) as caught:
        judge("[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG AA 1 1 00 1700000000 5 -\n", "InRelease")
    assert caught.value.code == "REPO_SIGNATURE_INVALID"


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
