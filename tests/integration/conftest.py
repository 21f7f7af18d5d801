from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.composer import Composer, write_document
from support.debrepo import DebRepository, served, write_repository
from support.debs import Deb
from support.distribution import BOOT, OwnRepository, document, write_distribution
from support.openpgp import Key, Keychain

PACKAGES = (
    BOOT,
    Deb("base-files", fields={"Essential": "yes"}),
    Deb("openssh-server", depends="openssh-common"),
    Deb("openssh-common"),
    Deb("openssh-sftp-server"),
    Deb("chrony"),
    Deb("web-shop", depends="mail-relay"),
    Deb("mail-relay", depends="exim"),
    Deb("exim", fields={"Conflicts": "postfix"}),
    Deb("mailing-lists", depends="postfix"),
    Deb("postfix"),
    Deb("big", files={"usr/share/big": random.Random("big").randbytes(4 << 20)}),
    Deb("half-baked", depends="never-packaged (>= 2)"),
)
"""A small world of packages that agree and disagree; nothing in it can run."""


@pytest.fixture(scope="session")
def keychain() -> Iterator[Keychain]:
    with Keychain() as keychain:
        yield keychain


@pytest.fixture(scope="session")
def key(keychain: Keychain) -> Key:
    return keychain.make("archive")


@pytest.fixture(scope="session")
def other_key(keychain: Keychain) -> Key:
    return keychain.make("stranger")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests, so that what they have in common is fetched once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key) -> Iterator[str]:
    """The distribution's own repository."""
    repository = DebRepository(PACKAGES, valid_for=None)
    with served(write_repository(repository, tmp_path_factory.mktemp("mirror"), keychain, key)) as url:
        yield url


@pytest.fixture(scope="session")
def composer(tmp_path_factory: pytest.TempPathFactory, cache: Path, mirror: str, key: Key) -> Composer:
    """The composer with a distribution of a dozen packages, which can be resolved and fetched but not started."""
    folder = tmp_path_factory.mktemp("distribution")
    return Composer(cache, write_distribution(folder, OwnRepository(mirror, key)))


@pytest.fixture(scope="session")
def bootable(tmp_path_factory: pytest.TempPathFactory, cache: Path, mirror: str, key: Key) -> Composer:
    """The composer with the essential packages of Debian 12 and a kernel of a few bytes: images in seconds."""
    folder = tmp_path_factory.mktemp("on-debian")
    return Composer(cache, write_distribution(folder, OwnRepository(mirror, key), on_debian=True))


@pytest.fixture(scope="session")
def finished(bootable: Composer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every stage but the last has run, as a pod runs them."""
    folder = tmp_path_factory.mktemp("finished")
    workspace = folder / "workspace"
    file = write_document(folder, document())
    for name in ("validate", "resolve", "fetch", "assemble", "image", "attest", "verify"):
        words = ["--file", str(file)] if name == "validate" else []
        outcome = bootable.run("stage", name, "--workspace", workspace, *words)
        assert outcome.status == 0, outcome.error
    return workspace
