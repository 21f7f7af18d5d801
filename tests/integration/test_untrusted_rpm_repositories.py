"""Rpm repositories whose metadata can't be had or can't be trusted: an error that names them, never a warning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.repository.query import PackageQuery
from image_composer.repository.resolve import resolve
from image_composer.repository.sources import RpmSource
from image_composer.run import Runner
from image_composer.spec.image import Signed
from image_composer.store.content import ContentStore
from support.debrepo import served
from support.events import Recorded
from support.openpgp import MADE, Key, Keychain
from support.packages import downloader
from support.rpmrepo import (
    COMPRESS,
    PUBLISHED,
    TARGET,
    RpmRepository,
    data_xml,
    primary_xml,
    repomd_xml,
    write_rpm_repository,
)

REPOSITORY = RpmRepository(["tool; Requires: lib, /usr/share/lib/table", "lib; Files: /usr/share/lib/table"])


class Scene:
    """A repository that is served, and what resolves against it."""

    def __init__(self, folder: Path, url: str, keychain: Keychain, key: Key) -> None:
        self.folder = folder
        self.keychain = keychain
        self.key = key
        self.events = Recorded()
        self.source = RpmSource(id="extra", url=url, architecture="x86_64", keys=(key.public,))

    def write(self, repository: RpmRepository, *keys: Key, at: datetime = PUBLISHED) -> None:
        write_rpm_repository(repository, self.folder / "served", self.keychain, *keys, at=at)

    def resolve(self, now: datetime = PUBLISHED) -> Lock:
        reporter = Reporter(self.events)
        return resolve(
            TARGET,
            [self.source],
            PackageQuery(("tool",)),
            "0" * 64,
            store=ContentStore(self.folder / "cache", 10**9),
            downloader=downloader(self.folder / "cache", self.events, retries=0),
            runner=Runner(reporter),
            reporter=reporter,
            now=now,
        )

    def check(self, code: str, *said: str, now: datetime = PUBLISHED) -> None:
        with pytest.raises(RepositoryError) as caught:
            self.resolve(now)
        assert caught.value.code == code
        assert [words for words in ("extra", *said) if words not in caught.value.message] == []
        assert not any((self.folder / "cache" / "derived").glob("*/*")), "what was refused must not be kept"


@pytest.fixture
def scene(tmp_path: Path, keychain: Keychain, key: Key) -> Iterator[Scene]:
    (tmp_path / "served").mkdir()
    with served(tmp_path / "served") as url:
        yield Scene(tmp_path, url, keychain, key)


def test_a_signed_repository_is_used_and_the_lock_says_who_signed_it(scene: Scene) -> None:
    scene.write(REPOSITORY, scene.key)
    lock = scene.resolve()
    assert [package.name for package in lock.packages] == ["lib", "tool"]
    (repository,) = lock.repositories
    assert repository.signed_by == [scene.key.fingerprint]
    assert repository.release_digest == bytes_sha256((scene.folder / "served/repodata/repomd.xml").read_bytes())
    assert repository.release_time == int(PUBLISHED.timestamp())
    assert (repository.suite, repository.components) == (None, [])


@pytest.mark.parametrize("compression", COMPRESS)
def test_metadata_may_be_compressed_by(scene: Scene, compression: str) -> None:
    scene.write(replace(REPOSITORY, compression=compression), scene.key)
    assert [package.name for package in scene.resolve().packages] == ["lib", "tool"]


def test_where_only_packages_are_signed_that_is_said_and_no_key_is_named(scene: Scene) -> None:
    scene.write(REPOSITORY)
    scene.source = replace(scene.source, signed=Signed.PACKAGES)
    assert [repository.signed_by for repository in scene.resolve().repositories] == [[]]
    assert "repository extra: its metadata is not signed, only its packages are" in scene.events.messages("info")


def test_metadata_is_fetched_once(scene: Scene) -> None:
    scene.write(REPOSITORY, scene.key)
    first = scene.resolve()
    for file in (scene.folder / "served/repodata").glob("*-*"):
        file.unlink()
    assert scene.resolve() == first


def test_a_server_without_the_repository_is_named(scene: Scene) -> None:
    scene.check("REPO_NOT_FOUND", "repodata/repomd.xml", scene.source.url)


@pytest.mark.parametrize("policy", [Signed.METADATA, Signed.METADATA_AND_PACKAGES])
def test_no_signature_is_refused(scene: Scene, policy: Signed) -> None:
    scene.write(REPOSITORY)
    scene.source = replace(scene.source, signed=policy)
    scene.check("REPO_UNSIGNED", "repodata/repomd.xml carries no signature")


def test_another_keys_signature_is_refused(scene: Scene, other_key: Key) -> None:
    scene.write(REPOSITORY, other_key)
    scene.check("REPO_KEY_UNKNOWN", other_key.fingerprint, "repodata/repomd.xml")


def test_a_repomd_that_was_changed_after_signing_is_refused(scene: Scene) -> None:
    scene.write(REPOSITORY, scene.key)
    repomd = scene.folder / "served/repodata/repomd.xml"
    repomd.write_bytes(repomd.read_bytes().replace(b"1705320000", b"1705320001"))
    scene.check("REPO_SIGNATURE_INVALID", "repodata/repomd.xml")


def test_a_key_that_expired_since_it_signed_still_counts(scene: Scene) -> None:
    brief = scene.keychain.make("brief", expires="30d")
    scene.write(REPOSITORY, brief, at=MADE + timedelta(days=9))
    scene.source = replace(scene.source, keys=(brief.public,))
    assert [repository.signed_by for repository in scene.resolve().repositories] == [[brief.fingerprint]]


def test_a_key_that_had_expired_when_it_signed_is_refused(scene: Scene) -> None:
    lapsed = scene.keychain.make("lapsed", expires="30d")
    known = lapsed.public
    scene.keychain.prolong(lapsed, "2y", at=MADE + timedelta(days=9))
    scene.write(REPOSITORY, lapsed, at=PUBLISHED)
    scene.source = replace(scene.source, keys=(known,))
    scene.check("REPO_KEY_EXPIRED", "repodata/repomd.xml")


def changed(kind: str, content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1]) if kind == "primary" else content


def cut(kind: str, content: bytes) -> bytes:
    return content[:-20] if kind == "primary" else content


def broken(_: str, content: bytes) -> bytes:
    return content.replace(b"</metadata>", b"")


def with_document_type(_: str, content: bytes) -> bytes:
    return content.replace(b"?>\n", b'?>\n<!DOCTYPE metadata [<!ENTITY a "aaaaaaaaaa">]>\n', 1)


def pathless(kind: str, content: bytes) -> bytes:
    return b"<html/>" if kind == "filelists" else content


BOMB = COMPRESS[".gz"](primary_xml([]) + b" " * (64 << 20))
SMALLER = data_xml("primary", "repodata/bomb.xml.gz", BOMB, primary_xml([]), "1705320000")

UNTRUSTED = {
    "truncated": (replace(REPOSITORY, swap=cut), "REPO_SIZE_MISMATCH"),
    "swapped": (replace(REPOSITORY, swap=changed), "REPO_DIGEST_MISMATCH"),
    "broken XML": (replace(REPOSITORY, rewrite=broken), "REPO_MALFORMED"),
    "a document type": (replace(REPOSITORY, rewrite=with_document_type), "REPO_MALFORMED"),
    "a web page for repomd": (replace(REPOSITORY, describe=lambda _: b"<html></html>"), "REPO_MALFORMED"),
    "a document type in repomd": (
        replace(REPOSITORY, describe=lambda content: with_document_type("", content)),
        "REPO_MALFORMED",
    ),
    "databases only": (
        replace(REPOSITORY, describe=lambda content: content.replace(b'"primary"', b'"primary_db"')),
        "REPO_INDEX_UNREADABLE",
    ),
    "another unpacked digest": (
        replace(
            REPOSITORY,
            describe=lambda content: content.replace(bytes_sha256(primary_xml([])).encode(), b"0" * 64),
            packages=(),
        ),
        "REPO_DIGEST_MISMATCH",
    ),
    "a bomb": (replace(REPOSITORY, describe=lambda _: repomd_xml([SMALLER], "1705320000")), "REPO_TOO_LARGE"),
}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_metadata_is_refused_though_it_is_signed(scene: Scene, case: str) -> None:
    repository, code = UNTRUSTED[case]
    (scene.folder / "served/repodata").mkdir()
    (scene.folder / "served/repodata/bomb.xml.gz").write_bytes(BOMB)
    scene.write(repository, scene.key)
    scene.check(code, "repodata/")


def test_broken_filelists_are_refused_when_they_are_needed(scene: Scene) -> None:
    scene.write(replace(REPOSITORY, rewrite=pathless), scene.key)
    with pytest.raises(RepositoryError, match=r"repository extra: .*filelists") as caught:
        scene.resolve()
    assert caught.value.code == "REPO_MALFORMED"


@pytest.mark.parametrize("compression", [".xz", ".zst", ".bz2"])
def test_a_bomb_is_not_unpacked_whatever_its_compression(scene: Scene, compression: str) -> None:
    bomb = COMPRESS[compression](primary_xml([]) + b" " * (64 << 20))
    entry = data_xml("primary", f"repodata/bomb.xml{compression}", bomb, primary_xml([]), "1705320000")
    scene.write(replace(REPOSITORY, describe=lambda _: repomd_xml([entry], "1705320000")), scene.key)
    (scene.folder / f"served/repodata/bomb.xml{compression}").write_bytes(bomb)
    scene.check("REPO_TOO_LARGE", "bomb.xml")


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst", ".bz2"])
def test_what_is_not_compressed_as_its_name_says_is_refused(scene: Scene, compression: str) -> None:
    scene.write(REPOSITORY, scene.key)
    entry = data_xml("primary", f"repodata/x.xml{compression}", b"no such thing", primary_xml([]), "1705320000")
    scene.write(replace(REPOSITORY, describe=lambda _: repomd_xml([entry], "1705320000")), scene.key)
    (scene.folder / f"served/repodata/x.xml{compression}").write_bytes(b"no such thing")
    scene.check("REPO_MALFORMED", "can't be unpacked")
