"""Repositories that can't be reached or can't be trusted: an error that names them, never a warning."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support.composer import SCREEN, Composer, Outcome, nothing_left, write_document
from support.debrepo import PUBLISHED, DebRepository, served, write_repository
from support.debs import Deb, make_deb
from support.distribution import document
from support.openpgp import Key, Keychain

EXTRA = DebRepository([Deb("extra-tool", files={"usr/bin/extra": "#!/bin/sh\n"})], valid_for=None)
TAMPERED = replace(EXTRA, tamper=lambda _, content: content[:-1] + b"!")


@dataclass(frozen=True)
class Scene:
    """A document that names an extra repository, and what builds it."""

    composer: Composer
    folder: Path
    key: Key

    def build(self, url: str, **changes: Any) -> Outcome:
        repository = {"id": "extra", "url": url, "suite": "bookworm", "key": self.key.public.decode(), **changes}
        file = write_document(self.folder, document(packages=["extra-tool"], repositories=[repository]))
        with nothing_left(self.composer, self.folder):
            return self.composer.run("build", "-f", file, "-o", self.folder / "out")


@pytest.fixture
def scene(composer: Composer, tmp_path: Path, key: Key) -> Scene:
    return Scene(composer, tmp_path, key)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nothing listens at, kept from others."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def check(outcome: Outcome, code: str, *said: str) -> None:
    assert outcome.status == 1
    assert outcome.code == code
    assert [words for words in ("extra", *said) if words not in outcome.error] == []
    assert len(outcome.error.splitlines()) <= SCREEN


def build_from(scene: Scene, folder: Path, repository: DebRepository, keychain: Keychain, *keys: Key) -> Outcome:
    with served(write_repository(repository, folder, keychain, *keys)) as url:
        return scene.build(url)


def test_a_server_that_is_not_there_is_named_and_worth_another_try(scene: Scene, closed_port: int) -> None:
    outcome = scene.build(f"http://127.0.0.1:{closed_port}")
    check(outcome, "REPO_UNREACHABLE", f"127.0.0.1:{closed_port}", "Trying again can help.")


def test_a_server_without_the_repository_is_named(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> None:
    with served(tmp_path_factory.mktemp("empty")) as url:
        check(scene.build(url), "REPO_NOT_FOUND", url, "check the repository's URL and suite")


def test_another_keys_signature_is_refused(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key, other_key: Key
) -> None:
    outcome = build_from(scene, tmp_path_factory.mktemp("other"), EXTRA, keychain, other_key)
    check(outcome, "REPO_KEY_UNKNOWN", other_key.fingerprint)


def test_no_signature_is_refused(scene: Scene, tmp_path_factory: pytest.TempPathFactory, keychain: Keychain) -> None:
    check(build_from(scene, tmp_path_factory.mktemp("unsigned"), EXTRA, keychain), "REPO_UNSIGNED", "signature")


def test_a_release_that_is_no_longer_valid_is_refused(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key
) -> None:
    expired = replace(EXTRA, valid_for=timedelta(days=7))
    until = f"{PUBLISHED + timedelta(days=7):%Y-%m-%d}"
    check(build_from(scene, tmp_path_factory.mktemp("expired"), expired, keychain, key), "REPO_EXPIRED", until)


def test_an_index_that_was_changed_after_signing_is_refused(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key
) -> None:
    outcome = build_from(scene, tmp_path_factory.mktemp("tampered"), TAMPERED, keychain, key)
    check(outcome, "REPO_DIGEST_MISMATCH", "Packages")


def test_a_package_that_was_swapped_is_refused(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key
) -> None:
    folder = write_repository(EXTRA, tmp_path_factory.mktemp("swapped"), keychain, key)
    evil = Deb("extra-tool", files={"usr/bin/extra": "#!/bin/sh\n# evil\n"})
    made = make_deb(evil, tmp_path_factory.mktemp("evil"))
    target = folder / "pool" / made.name
    target.write_bytes(made.read_bytes().ljust(target.stat().st_size, b"\n")[: target.stat().st_size])
    with served(folder) as url:
        check(scene.build(url), "REPO_DIGEST_MISMATCH", "extra-tool 1.0")


def test_a_key_that_is_none_is_the_users_mistake(scene: Scene, mirror: str) -> None:
    outcome = scene.build(mirror, key="ssh-ed25519 AAAA")
    assert (outcome.status, outcome.code) == (2, "SPEC_INVALID")
    assert "spec.image.repositories[0].key" in outcome.error


def test_a_key_that_cannot_be_read_is_named(scene: Scene, mirror: str) -> None:
    armour = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nbm8ga2V5\n-----END PGP PUBLIC KEY BLOCK-----\n"
    outcome = scene.build(mirror, key=armour)
    assert outcome.code.startswith("REPO_KEY")
    assert "extra" in outcome.error
