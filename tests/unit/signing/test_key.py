"""The private key: taken when it is the certificate's, refused with a reason that gives nothing of it away."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.errors import SigningError
from image_composer.run import Runner
from image_composer.signing.key import check_key, signing_key
from support.disks import say
from support.keys import KeyPair, make_keys


def refused(file: Path, keys: KeyPair) -> SigningError:
    with pytest.raises(SigningError) as caught:
        check_key(file, keys.read, tools=Runner())
    return caught.value


def test_the_certificates_key_is_taken_in_both_of_its_forms(keys: KeyPair, tmp_path: Path) -> None:
    old = tmp_path / "old.key"
    say("openssl", "rsa", "-in", keys.key, "-traditional", "-out", old)
    assert "BEGIN RSA PRIVATE KEY" in old.read_text()
    for file in (keys.key, old):
        assert signing_key(file, keys.read, tmp_path, tools=Runner()).certificate_file.read_text() == keys.pem


def test_another_key_is_refused_and_both_are_named(keys: KeyPair, tmp_path: Path) -> None:
    other = make_keys(tmp_path)
    error = refused(other.key, keys)
    assert error.code == "SIGN_KEY_MISMATCH"
    for named in (str(other.key), "CN=Gate Secure Boot", keys.read.fingerprint):
        assert named in error.message


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_passphrase(keys: KeyPair, tmp_path: Path) -> None:
    for number, options in enumerate((("pkcs8", "-topk8"), ("rsa", "-traditional", "-aes128"))):
        file = tmp_path / f"{number}.key"
        say("openssl", *options, "-in", keys.key, "-passout", "pass:secret", "-out", file)
        error = refused(file, keys)
        assert error.code == "SIGN_KEY_ENCRYPTED"
        assert "openssl pkey" in (error.hint or "")


def test_what_is_no_private_key_is_refused_without_being_repeated(keys: KeyPair, tmp_path: Path) -> None:
    private = keys.key.read_text().splitlines()
    file = tmp_path / "file"
    for text, code, why in (
        ("", "SIGN_KEY_INVALID", "no private key in PEM"),
        ("secret\n", "SIGN_KEY_INVALID", "no private key in PEM"),
        (keys.pem, "SIGN_KEY_INVALID", "holds a CERTIFICATE"),
        (make_keys(tmp_path, kind="ED25519").key.read_text(), "SIGN_KEY_MISMATCH", "is not that of"),
        ("\n".join([*private[:5], *private[7:], ""]), "SIGN_KEY_INVALID", "damaged"),
    ):
        file.write_text(text)
        error = refused(file, keys)
        assert (error.code, error.exit_status) == (code, 2)
        assert why in error.message
        assert not any(line in f"{error.message}{error.hint}" for line in private[1:-1])


def test_a_file_that_is_not_there_is_named(keys: KeyPair, tmp_path: Path) -> None:
    error = refused(tmp_path / "gone.key", keys)
    assert (error.code, "gone.key" in error.message) == ("SIGN_KEY_UNREADABLE", True)
