from __future__ import annotations

from collections.abc import Iterator

import pytest

from image_composer.run import Runner
from support.openpgp import Key, Keychain


@pytest.fixture(scope="session")
def keychain() -> Iterator[Keychain]:
    with Keychain() as keychain:
        yield keychain


@pytest.fixture(scope="session")
def key(keychain: Keychain) -> Key:
    return keychain.make("vendor", algorithm="rsa2048")


@pytest.fixture(scope="session")
def other_key(keychain: Keychain) -> Key:
    return keychain.make("stranger")


@pytest.fixture
def runner() -> Runner:
    return Runner()
