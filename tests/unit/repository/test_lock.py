from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import LockError
from image_composer.repository.lock import (
    Lock,
    LockedPackage,
    LockedRepository,
    check_lock,
    lock_text,
    read_lock,
)
from image_composer.spec.image import Architecture, Target

TARGET = Target(distribution="debian", release="12")
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,10}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9][0-9A-Za-z.+~:-]{0,10}", fullmatch=True)


def repository(name: str = "main") -> LockedRepository:
    return LockedRepository(
        id=name,
        url="https://deb.example.org/debian",
        suite="bookworm",
        components=["main"],
        release_digest="a" * 64,
        release_time=1_700_000_000,
        signed_by=["F" * 40],
    )


def package(name: str, **fields: Any) -> LockedPackage:
    own = {
        "name": name,
        "version": "1.0",
        "architecture": "amd64",
        "url": f"https://deb.example.org/debian/pool/{name}.deb",
        "sha256": "b" * 64,
        "size": 10,
        "installed_size": 20,
        "repository": "main",
        "source": name,
        "source_version": "1.0",
    }
    return LockedPackage(**{**own, **fields})


def lock_of(*packages: LockedPackage, **fields: Any) -> Lock:
    own = {"target": TARGET, "request_digest": "c" * 64, "repositories": [repository()]}
    return Lock(packages=list(packages), **{**own, **fields})


LOCKS = st.lists(
    st.builds(
        package,
        name=NAMES,
        version=VERSIONS,
        sha256=HEX,
        size=st.integers(0, 10**12),
        essential=st.booleans(),
        source=st.text(string.printable, max_size=5),
    ),
    unique_by=lambda locked: locked.name,
    max_size=5,
).map(lambda packages: lock_of(*sorted(packages, key=lambda locked: locked.name)))


@given(LOCKS)
def test_a_lock_that_was_written_reads_the_same(tmp_path_factory: pytest.TempPathFactory, lock: Lock) -> None:
    path = tmp_path_factory.mktemp("lock") / "lock.json"
    path.write_text(lock_text(lock))
    assert read_lock(path) == lock
    assert lock_text(read_lock(path)) == lock_text(lock)


def test_packages_are_sorted_however_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_text(lock_text(lock_of(package("b"), package("a"))))
    assert read_lock(path) == lock_of(package("a"), package("b"))
    assert read_lock(path).content_digest() == lock_of(package("a"), package("b")).content_digest()


def with_change(tmp_path: Path, **changes: Any) -> Path:
    """Write a lock of two packages, the first of them and the whole changed."""
    document = json.loads(lock_text(lock_of(package("a"), package("b", depends=["a"]))))
    document["packages"][0].update(changes.pop("first", {}))
    document.update(changes)
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"lockVersion": 2}, "LOCK_VERSION_UNSUPPORTED", "lock version 2, and this composer reads version 1"),
        ({"lockVersion": None}, "LOCK_INVALID", "no lockVersion"),
        ({"packages": "many"}, "LOCK_INVALID", "packages: "),
        ({"surprise": 1}, "LOCK_INVALID", "surprise: "),
        ({"repositories": []}, "LOCK_INVALID", "a is from the repository main, which is not there"),
        ({"first": {"name": "b"}}, "LOCK_INVALID", "the package b is there 2 times"),
        ({"first": {"name": "c"}}, "LOCK_INVALID", "b depends on a, which is not there"),
        ({"first": {"name": "../a"}}, "LOCK_INVALID", "packages.0.name: "),
        ({"first": {"version": "../1"}}, "LOCK_INVALID", "packages.0.version: "),
        ({"first": {"architecture": "/"}}, "LOCK_INVALID", "packages.0.architecture: "),
        ({"first": {"sha256": "b" * 63}}, "LOCK_INVALID", "packages.0.sha256: "),
        ({"first": {"size": -1}}, "LOCK_INVALID", "packages.0.size: "),
        ({"first": {"url": "ftp://deb.example.org/a"}}, "LOCK_INVALID", "packages.0.url: "),
    ],
)
def test_a_lock_that_can_not_be_used_is_told_why(tmp_path: Path, changes: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(LockError) as caught:
        read_lock(with_change(tmp_path, **changes))
    assert caught.value.code == code
    assert said in caught.value.message


@pytest.mark.parametrize("content", ["", "[]", "7", "{", '{"lockVersion": ', "\0"])
def test_a_file_that_is_no_lock_is_told_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(content)
    with pytest.raises(LockError) as caught:
        read_lock(path)
    assert caught.value.code == "LOCK_INVALID"
    assert str(path) in caught.value.message


def test_a_lock_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(LockError) as caught:
        read_lock(tmp_path / "none.json")
    assert caught.value.code == "LOCK_UNREADABLE"


def test_many_faults_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_text(lock_text(lock_of(*(package(f"p{number}", repository="gone") for number in range(15)))))
    with pytest.raises(LockError, match="and 5 more"):
        read_lock(path)


def test_a_lock_for_the_same_request_fits() -> None:
    check_lock(lock_of(package("a")), TARGET, "c" * 64)


@pytest.mark.parametrize(
    ("target", "digest", "said"),
    [
        ({"release": "13"}, "c", "it is for release 12, not 13"),
        ({"architecture": Architecture.AARCH64}, "c", "it is for architecture x86_64, not aarch64"),
        ({}, "d", "asked for have changed"),
    ],
)
def test_a_lock_for_another_request_is_told_what_differs(target: dict[str, Any], digest: str, said: str) -> None:
    with pytest.raises(LockError) as caught:
        check_lock(lock_of(package("a")), TARGET.model_copy(update=target), digest * 64)
    assert caught.value.code == "LOCK_MISMATCH"
    assert said in caught.value.message


def test_where_packages_come_from_does_not_count_for_their_content() -> None:
    here, there = (lock_of(package("a", url=f"https://{host}.example.org/a.deb")) for host in ("here", "there"))
    assert here.content_digest() == there.content_digest()
    assert here.content_digest() != lock_of(package("a", sha256="e" * 64)).content_digest()
