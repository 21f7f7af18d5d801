"""Fetching the packages of a lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError, StoreError
from image_composer.report import Reporter
from image_composer.repository.lock import Lock, LockedPackage
from image_composer.settings import Settings
from image_composer.spec.image import Target
from image_composer.store.content import ContentStore
from image_composer.store.fetch import fetch, file_name
from support.events import Recorded
from support.httpserver import HttpServer, Stalled, Status
from support.packages import content, downloader

MIB = 1024 * 1024


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def package(
    name: str, body: bytes, url: str, version: str = "1:1.0+b1~x-2", architecture: str = "amd64"
) -> LockedPackage:
    return LockedPackage(
        name=name,
        version=version,
        architecture=architecture,
        url=url,
        sha256=bytes_sha256(body),
        size=len(body),
        installed_size=0,
        repository="main",
        source=name,
        source_version=version,
    )


def lock_of(*packages: LockedPackage) -> Lock:
    target = Target(distribution="debian", release="12")
    return Lock(target=target, request_digest="0" * 64, repositories=[], packages=list(packages))


def served(server: HttpServer, *names: str, size: int = 10_000) -> Lock:
    bodies = {name: content(name, size) for name in names}
    return lock_of(*(package(name, body, server.serve(f"/{name}.deb", body)) for name, body in bodies.items()))


def fetched(lock: Lock, tmp_path: Path, sink: Recorded | None = None, **settings: Any) -> dict[str, Path]:
    chosen = Settings(cache_dir=tmp_path / "cache", **settings)
    return fetch(
        lock,
        tmp_path / "packages",
        store=ContentStore(chosen.cache_dir, 0),
        downloader=downloader(chosen.cache_dir, sink, **settings),
        settings=chosen,
        reporter=Reporter(sink or Recorded()),
    )


def test_every_package_is_put_under_its_own_name(server: HttpServer, tmp_path: Path) -> None:
    found = fetched(served(server, "bash", "libc6"), tmp_path)
    assert {name: path.name for name, path in found.items()} == {
        "bash": "bash_1%3A1.0+b1~x-2_amd64.deb",
        "libc6": "libc6_1%3A1.0+b1~x-2_amd64.deb",
    }
    for name, path in found.items():
        assert path.parent == tmp_path / "packages"
        assert path.read_bytes() == content(name, 10_000)
        assert path.stat().st_mode & 0o777 == 0o644


def test_an_empty_lock_gives_an_empty_folder(tmp_path: Path) -> None:
    assert fetched(lock_of(), tmp_path) == {}
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_second_build_fetches_nothing(server: HttpServer, tmp_path: Path) -> None:
    lock = served(server, "bash", "libc6")
    first = fetched(lock, tmp_path)
    assert fetched(lock, tmp_path, offline=True) == first
    assert len(server.requests) == 2


def test_trimming_does_not_take_packages_away(server: HttpServer, tmp_path: Path) -> None:
    found = fetched(served(server, "bash"), tmp_path)
    store = ContentStore(tmp_path / "cache", 0)
    assert store.trim().files == 1
    assert found["bash"].read_bytes() == content("bash", 10_000)


def test_the_store_and_the_folder_share_the_bytes(server: HttpServer, tmp_path: Path) -> None:
    found = fetched(served(server, "bash"), tmp_path)
    assert found["bash"].stat().st_nlink == 2


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_on_another_file_system_they_are_copied(server: HttpServer, tmp_path: Path) -> None:
    shared = Path("/dev/shm") / f"image-composer-{os.getpid()}"
    if shared.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    (tmp_path / "packages").symlink_to(shared)
    shared.mkdir()
    try:
        path = fetched(served(server, "bash"), tmp_path)["bash"]
        assert (path.read_bytes(), path.stat().st_nlink) == (content("bash", 10_000), 1)
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        for left in shared.iterdir():
            left.unlink()
        shared.rmdir()


def test_what_has_the_name_already_is_replaced(server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "bash_1%3A1.0+b1~x-2_amd64.deb").write_bytes(b"of another build")
    assert fetched(served(server, "bash"), tmp_path)["bash"].read_bytes() == content("bash", 10_000)


def test_packages_with_the_same_content_are_fetched_once(server: HttpServer, tmp_path: Path) -> None:
    body = content("same", 10_000)
    url = server.serve("/same.deb", body)
    found = fetched(lock_of(package("one", body, url), package("two", body, url)), tmp_path)
    assert [found["one"].read_bytes(), found["two"].read_bytes()] == [body, body]
    assert len(server.requests) == 1


def test_progress_counts_every_byte(server: HttpServer, tmp_path: Path) -> None:
    sink = Recorded()
    fetched(served(server, "bash", "libc6", "dpkg"), tmp_path, sink)
    events = [event for event in sink.events if event.kind == "progress"]
    assert (events[-1].done, events[-1].total, events[-1].unit) == (30_000, 30_000, "bytes")
    assert [event.done for event in events] == sorted(event.done or 0 for event in events)


def test_a_package_that_is_missing_stops_the_others(server: HttpServer, tmp_path: Path) -> None:
    lock = served(server, *(f"package{number}" for number in range(40)))
    big = content("big", MIB)
    slow = package("slow", big, server.serve("/slow.deb", big, Stalled(1000)))
    gone = package("gone", content("gone", 500_000), server.url("/gone.deb"))
    with pytest.raises(RepositoryError) as caught:
        fetched(lock_of(*lock.packages, slow, gone), tmp_path, downloads=2, timeout=0.2)
    assert caught.value.code == "REPO_NOT_FOUND"
    assert "/gone.deb" in caught.value.message
    assert len(server.requests) < 10


def test_what_was_fetched_before_a_failure_is_kept(server: HttpServer, tmp_path: Path) -> None:
    lock = served(server, "bash", "libc6")
    server.serve("/libc6.deb", server.files["/libc6.deb"], Status(404))
    with pytest.raises(RepositoryError):
        fetched(lock, tmp_path, downloads=1)
    fetched(lock, tmp_path)
    assert len(server.requested("/bash.deb")) == 1


def test_offline_names_everything_that_is_missing(server: HttpServer, tmp_path: Path) -> None:
    fetched(served(server, "bash"), tmp_path)
    with pytest.raises(RepositoryError) as caught:
        fetched(served(server, "bash", "libc6", "dpkg"), tmp_path, offline=True)
    assert caught.value.code == "REPO_OFFLINE"
    assert caught.value.message.splitlines()[1:] == [
        "  libc6 1:1.0+b1~x-2 (repository main)",
        "  dpkg 1:1.0+b1~x-2 (repository main)",
    ]


def test_a_local_mirror_works_offline(tmp_path: Path) -> None:
    body = content("local", 10_000)
    (tmp_path / "local.deb").write_bytes(body)
    lock = lock_of(package("local", body, (tmp_path / "local.deb").as_uri()))
    assert fetched(lock, tmp_path, offline=True)["local"].read_bytes() == body


def test_a_folder_that_can_not_be_made_is_named(server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "packages").touch()
    with pytest.raises(StoreError) as caught:
        fetched(served(server, "bash"), tmp_path)
    assert caught.value.code == "STORE_FAILED"
    assert str(tmp_path / "packages") in caught.value.message


@pytest.mark.parametrize("version", ["../../etc/x", "1.0/../../x", "/abs", "1:2", "a b", "\n", "1\0"])
def test_a_version_can_not_lead_out_of_the_folder(version: str) -> None:
    hostile = package("bash", b"", "http://127.0.0.1/").model_copy(
        update={"version": version, "architecture": "../amd64"}  # as no lock that was read can be
    )
    name = file_name(hostile)
    assert "/" not in name
    assert name.isprintable()
    assert name.startswith("bash_")
