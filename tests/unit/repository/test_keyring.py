from __future__ import annotations

import pytest

from image_composer.errors import RepositoryError
from image_composer.repository.keyring import keyring
from support.openpgp import Key, Keychain


def test_several_armoured_blocks_in_one_file_all_count(keychain: Keychain, key: Key, other_key: Key) -> None:
    together = b"# keys of the archive\n" + key.public + b"\nand\n\n" + other_key.public
    binary = [keychain.public(each.fingerprint, armoured=False) for each in (key, other_key)]
    assert keyring([together], "main") == b"".join(binary)


def test_dos_line_ends_do_no_harm(keychain: Keychain, key: Key) -> None:
    assert keyring([key.public.replace(b"\n", b"\r\n")], "main") == keychain.public(key.fingerprint, armoured=False)


def test_headers_of_an_armour_do_no_harm(keychain: Keychain, key: Key) -> None:
    with_header = key.public.replace(b"BLOCK-----\n", b"BLOCK-----\nComment: an archive\n", 1)
    assert keyring([with_header], "main") == keychain.public(key.fingerprint, armoured=False)


def test_a_signature_is_not_a_key(keychain: Keychain, key: Key) -> None:
    with pytest.raises(RepositoryError, match="does not start with a public key"):
        keyring([b"\x88\x75" + b"\0" * 117], "main")


def test_a_damaged_armour_is_named_with_its_repository(key: Key) -> None:
    with pytest.raises(RepositoryError, match="repository main: a key's armour is damaged"):
        keyring([key.public.replace(b"m", b"*")], "main")
