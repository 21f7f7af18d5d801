"""The whole way from a signed repository to a lock, over HTTP on the loopback."""

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
from image_composer.repository.sources import DebSource, RepositorySource
from image_composer.run import Runner
from image_composer.spec.image import Target
from image_composer.store.content import ContentStore, Wanted
from support.debrepo import PUBLISHED, DebRepository, served, write_repository
from support.debs import Deb, index, paragraph
from support.events import Recorded
from support.openpgp import Key, Keychain
from support.packages import downloader

TARGET = Target(distribution="debian", release="12")
PACKAGES = (
    Deb("base", fields={"Essential": "yes"}, files={"etc/base": "base\n"}),
    Deb("tool", "1:2.0-1", depends="lib (>= 1)", files={"usr/bin/tool": "#!/bin/sh\n"}),
    Deb("lib", "1.5+b1", architecture="amd64", fields={"Source": "libsrc (1.5)"}),
    Deb("unused"),
)
REPOSITORY = DebRepository(packages=PACKAGES)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "repository"
    folder.mkdir()
    with served(folder) as url:
        yield folder, url


class Resolver:
    """Resolves against a repository on the loopback."""

    def __init__(self, url: str, cache: Path, *keys: Key) -> None:
        self.source = DebSource(
            id="main",
            url=url,
            suite="bookworm",
            components=("main",),
            architecture="amd64",
            keys=tuple(key.public for key in keys),
        )
        self.cache = cache
        self.events = Recorded()

    def __call__(self, *names: str, now: datetime = PUBLISHED, sources: tuple[RepositorySource, ...] = ()) -> Lock:
        reporter = Reporter(self.events)
        return resolve(
            TARGET,
            sources or (self.source,),
            PackageQuery(names),
            "0" * 64,
            store=ContentStore(self.cache, 10**9),
            downloader=downloader(self.cache, self.events, retries=0),
            runner=Runner(reporter),
            reporter=reporter,
            now=now,
        )

    def code(self, *names: str, now: datetime = PUBLISHED) -> str:
        with pytest.raises(RepositoryError) as caught:
            self(*names, now=now)
        assert "main" in caught.value.message
        return caught.value.code


@pytest.fixture
def resolver(place: tuple[Path, str], cache: Path, key: Key) -> Resolver:
    return Resolver(place[1], cache, key)


def test_a_lock_names_every_package_with_all_that_is_needed_to_fetch_and_trust_it(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    folder, url = place
    write_repository(REPOSITORY, folder, keychain, key)
    lock = resolver("tool")
    assert [package.name for package in lock.packages] == ["base", "lib", "tool"]
    base, lib, tool = lock.packages
    assert (base.essential, base.requested, lib.requested, tool.requested) == (True, False, False, True)
    assert (tool.version, tool.depends, lib.architecture) == ("1:2.0-1", ["lib"], "amd64")
    assert (lib.source, lib.source_version) == ("libsrc", "1.5")
    content = (folder / "pool" / "lib_1.5+b1_amd64.deb").read_bytes()
    assert (lib.size, lib.sha256) == (len(content), bytes_sha256(content))
    store = ContentStore(resolver.cache, 10**9)
    for package in lock.packages:
        wanted = Wanted(package.sha256, package.size, (package.url,), package.name, package.repository)
        assert store.obtain(wanted, downloader(resolver.cache)).stat().st_size == package.size
    (repository,) = lock.repositories
    assert (repository.id, repository.url, repository.signed_by) == ("main", url, [key.fingerprint])
    assert repository.release_time == int(PUBLISHED.timestamp())
    assert repository.release_digest == bytes_sha256((folder / "dists/bookworm/InRelease").read_bytes())


def test_the_same_request_gives_the_same_lock(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    write_repository(REPOSITORY, place[0], keychain, key)
    assert resolver("tool") == resolver("tool")


def test_an_index_is_fetched_once(place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key) -> None:
    write_repository(REPOSITORY, place[0], keychain, key)
    first = resolver("tool")
    for file in (place[0] / "dists").rglob("Packages*"):
        file.unlink()
    for file in (place[0] / "dists").rglob("by-hash/*/*"):
        file.unlink()
    assert resolver("tool") == first


WAYS = {
    "a detached signature": replace(REPOSITORY, detached=True),
    "no by-hash": replace(REPOSITORY, by_hash=False),
    "gzip only": replace(REPOSITORY, compressions=(".gz",)),
    "no compression": replace(REPOSITORY, compressions=("",)),
    "no end of validity": replace(REPOSITORY, valid_for=None),
    "packages for all architectures apart": DebRepository(
        packages=[Deb("lib", architecture="amd64")],
        indexes={"main/binary-all": index(paragraph("tool", depends="lib"))},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_repository_may_have(
    way: str, place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    write_repository(WAYS[way], place[0], keychain, key)
    assert {"lib", "tool"} <= {package.name for package in resolver("tool").packages}


def test_a_flat_repository_is_read(place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key) -> None:
    write_repository(replace(REPOSITORY, flat=True), place[0], keychain, key)
    resolver.source = replace(resolver.source, suite="./", components=())
    assert [package.name for package in resolver("tool").packages] == ["base", "lib", "tool"]


def test_only_repositories_that_packages_come_from_are_in_the_lock(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    write_repository(REPOSITORY, place[0], keychain, key)
    write_repository(
        DebRepository(packages=[Deb("tool", "2:9")], folder="own", codename="own"), place[0], keychain, key
    )
    write_repository(DebRepository(folder="empty", codename="empty"), place[0], keychain, key)
    sources = [replace(resolver.source, id=name, suite=name) for name in ("bookworm", "own", "empty")]
    lock = resolver("tool", sources=tuple(sources))
    assert [repository.id for repository in lock.repositories] == ["bookworm", "own"]
    assert {package.name: package.repository for package in lock.packages} == {"base": "bookworm", "tool": "own"}


def test_a_package_that_is_held_back_is_warned_about(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    listed = index(paragraph("a", depends="lib (<< 2)"), paragraph("lib", "1"), paragraph("lib", "2"))
    write_repository(DebRepository(indexes={"main/binary-amd64": listed}), place[0], keychain, key)
    resolver("a")
    assert resolver.events.messages("warning") == ["lib 1 is taken, not 2: other packages asked for don't fit that one"]


def changed(path: str, content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1]) if path.endswith(".xz") else content


WRONG = {
    "REPO_EXPIRED": replace(REPOSITORY, valid_for=timedelta(hours=-1)),
    "REPO_FROM_FUTURE": replace(REPOSITORY, published=PUBLISHED + timedelta(days=3)),
    "REPO_SUITE_MISMATCH": replace(REPOSITORY, suite="oldstable", codename="bullseye"),
    "REPO_NO_SHA256": replace(REPOSITORY, fields={"SHA256": ""}),
    "REPO_COMPONENT_UNKNOWN": replace(REPOSITORY, component="contrib"),
    "REPO_ARCHITECTURE_UNKNOWN": replace(REPOSITORY, architecture="arm64"),
    "REPO_DIGEST_MISMATCH": replace(REPOSITORY, tamper=changed),
    "REPO_SIZE_MISMATCH": replace(REPOSITORY, tamper=lambda _, content: content + b"more"),
    "REPO_MALFORMED": replace(REPOSITORY, indexes={"main/binary-amd64": index(paragraph("x", filename="../../x.deb"))}),
}


@pytest.mark.parametrize("code", WRONG)
def test_refused_with_a_code_of_its_own(
    code: str, place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    write_repository(WRONG[code], place[0], keychain, key)
    assert resolver.code("tool") == code


def test_a_repository_signed_by_somebody_else_is_refused(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, other_key: Key
) -> None:
    write_repository(REPOSITORY, place[0], keychain, other_key)
    assert resolver.code("tool") == "REPO_KEY_UNKNOWN"


def test_an_unsigned_repository_is_refused(place: tuple[Path, str], resolver: Resolver, keychain: Keychain) -> None:
    write_repository(REPOSITORY, place[0], keychain)
    assert resolver.code("tool") == "REPO_UNSIGNED"


def test_a_release_that_was_changed_after_signing_is_refused(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    write_repository(REPOSITORY, place[0], keychain, key)
    file = place[0] / "dists/bookworm/InRelease"
    file.write_bytes(file.read_bytes().replace(b"Origin: Tests", b"Origin: Thief"))
    assert resolver.code("tool") == "REPO_SIGNATURE_INVALID"


def test_a_repository_that_is_not_there_is_told_so(resolver: Resolver) -> None:
    assert resolver.code("tool") == "REPO_NOT_FOUND"


def test_one_failing_repository_among_several_is_an_error(
    place: tuple[Path, str], resolver: Resolver, keychain: Keychain, key: Key
) -> None:
    write_repository(REPOSITORY, place[0], keychain, key)
    gone = replace(resolver.source, id="gone", suite="gone")
    with pytest.raises(RepositoryError, match="repository gone"):
        resolver("tool", sources=(resolver.source, gone))
