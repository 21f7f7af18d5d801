from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.repository.certificate import KeyLife, key_lives
from support.openpgp import Key, Keychain

BORN = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ring(keychain: Keychain) -> bytes:
    """A certificate with a subkey, binary."""
    primary = keychain.make("subject", created=BORN, expires="9d")
    keychain.add_subkey(primary, "2d", at=BORN)
    return keychain.public(primary.fingerprint, armoured=False)


def after(**time: float) -> int:
    return int((BORN + timedelta(**time)).timestamp())


def test_every_key_has_an_end_of_its_own(ring: bytes) -> None:
    assert [*key_lives(ring).values()] == [KeyLife(after(days=9), False), KeyLife(after(days=2), False)]


def test_the_newest_word_on_a_key_counts(keychain: Keychain) -> None:
    key = keychain.make("prolonged", created=BORN, expires="2d")
    keychain.prolong(key, "never", at=BORN + timedelta(hours=1))
    binary = keychain.public(key.fingerprint, armoured=False)
    assert key_lives(binary) == {key.fingerprint: KeyLife(None, False)}


def test_a_revocation_holds_for_the_subkeys_too(keychain: Keychain) -> None:
    key = keychain.make("withdrawn", created=BORN)
    keychain.add_subkey(key, "2d", at=BORN)
    revoked = keychain.revoke(Key(key.fingerprint, b""))
    lives = key_lives(keychain.public(revoked.fingerprint, armoured=False))
    assert [life.revoked for life in lives.values()] == [True, True]


@given(st.data())
def test_a_damaged_certificate_is_read_to_an_end(ring: bytes, data: st.DataObject) -> None:
    damaged = bytearray(ring)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(ring) - 1))] = data.draw(st.integers(0, 255))
    key_lives(bytes(damaged[: data.draw(st.integers(0, len(ring)))]))
