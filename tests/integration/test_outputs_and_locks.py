"""What a lock decides and what is published: exactly that, all or nothing, or an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from support.composer import Composer, Outcome, nothing_left, write_document
from support.debrepo import DebRepository, served, write_repository
from support.debs import Deb
from support.distribution import BOOT, OwnRepository, document, write_distribution
from support.openpgp import Key, Keychain


@dataclass(frozen=True)
class Mirror:
    """A mirror that changes after a lock was made of it, and a composer that knows no other."""

    folder: Path
    keychain: Keychain
    key: Key
    composer: Composer

    def publish(self, *tools: Deb) -> None:
        """Have these packages, beside those that every image has, and no other."""
        for old in self.folder.glob("pool/*"):
            old.unlink()
        debs = [BOOT, Deb("base-files", fields={"Essential": "yes"}), Deb("library"), *tools]
        write_repository(DebRepository(debs, valid_for=None), self.folder, self.keychain, self.key)

    def lock(self, file: Path) -> Path:
        lock = file.with_name("edge.lock.json")
        assert self.composer.run("lock", "-f", file, "-o", lock).status == 0
        return lock

    def build(self, file: Path, lock: Path) -> Outcome:
        """Build a lock in an environment where nothing may be left afterwards."""
        with nothing_left(self.composer, file.parent):
            return self.composer.run("build", "-f", file, "-o", file.with_name("out"), "--lock", lock)

    def fetch(self, file: Path, lock: Path, workspace: Path) -> None:
        """Run the stages up to the packages, as a pod does."""
        steps: list[list[str | Path]] = [["validate", "--file", file], ["resolve", "--lock", lock], ["fetch"]]
        for words in steps:
            outcome = self.composer.run("stage", *words, "--workspace", workspace)
            assert outcome.status == 0, outcome.error


OLD = Deb("tool", "1.0", depends="library")
NEW = Deb("tool", "2.0", depends="library")


@pytest.fixture
def changing(tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("changing")
    with served(folder) as url:
        environment = write_distribution(tmp_path_factory.mktemp("distribution"), OwnRepository(url, key))
        found = Mirror(folder, keychain, key, Composer(tmp_path_factory.mktemp("cache"), environment))
        found.publish(OLD)
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_document(tmp_path, document(packages=["tool"]))


def versions(lock: Path) -> Mapping[str, str]:
    return {package["name"]: package["version"] for package in json.loads(lock.read_text())["packages"]}


def test_a_lock_is_taken_as_it_is_though_the_mirror_has_newer_packages(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    changing.publish(OLD, NEW)
    workspace = file.with_name("workspace")
    changing.fetch(file, lock, workspace)
    assert versions(workspace / "lock.json") == versions(lock) == {
        "base-files": "1.0", "library": "1.0", "tiny-boot": "1.0", "tool": "1.0"
    }  # fmt: skip
    assert sorted(path.name for path in (workspace / "packages").iterdir()) == [
        f"{name}_{version}_all.deb" for name, version in sorted(versions(lock).items())
    ]
    assert versions(changing.lock(file))["tool"] == "2.0"


def test_a_locked_package_that_is_gone_fails_the_build(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    changing.publish(NEW)
    outcome = changing.build(file, lock)
    assert (outcome.status, outcome.code) == (1, "REPO_NOT_FOUND")
    assert "testing-main" in outcome.error
    assert "tool_1.0_all.deb" in outcome.error
    assert "resolve again" in outcome.hint


def test_a_locked_package_that_became_another_fails_the_build(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    changing.publish(replace(OLD, files={"usr/bin/tool": "evil"}))
    outcome = changing.build(file, lock)
    assert (outcome.status, outcome.code) == (1, "REPO_SIZE_MISMATCH")
    assert "tool_1.0_all.deb" in outcome.error
    assert "testing-main" in outcome.error


def test_the_lock_of_another_document_is_refused(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    outcome = changing.build(write_document(file.parent, document(packages=["tool", "library"])), lock)
    assert (outcome.status, outcome.code) == (2, "LOCK_MISMATCH")
    assert "image-composer lock" in outcome.hint


def test_a_lock_that_was_edited_badly_is_refused(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    lock.write_text(lock.read_text().replace('"library"', '"libary"', 1))
    outcome = changing.build(file, lock)
    assert (outcome.status, outcome.code) == (2, "LOCK_INVALID")
    assert "library" in outcome.error


def test_a_lock_that_is_not_there_is_refused(changing: Mirror, file: Path) -> None:
    outcome = changing.build(file, file.with_name("absent.json"))
    assert (outcome.status, outcome.code) == (2, "LOCK_UNREADABLE")
    assert "absent.json" in outcome.error


def test_offline_and_without_a_cache_all_that_is_missing_is_named(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    offline = replace(changing, composer=in_offline_mode(changing.composer))
    outcome = offline.build(file, lock)
    assert (outcome.status, outcome.code) == (1, "REPO_OFFLINE")
    missing = [name for name in ("base-files", "library", "tiny-boot", "tool") if f"{name} 1.0" not in outcome.error]
    assert missing == []


def test_offline_with_a_cache_a_lock_is_all_that_is_needed(changing: Mirror, file: Path) -> None:
    lock = changing.lock(file)
    changing.fetch(file, lock, file.with_name("online"))
    replace(changing, composer=in_offline_mode(changing.composer)).fetch(file, lock, file.with_name("offline"))


def test_offline_nothing_can_be_resolved(changing: Mirror, file: Path) -> None:
    composer = in_offline_mode(changing.composer)
    with nothing_left(composer, file.parent):
        outcome = composer.run("build", "-f", file, "-o", file.with_name("out"))
    assert (outcome.status, outcome.code) == (1, "REPO_OFFLINE")
    assert "testing-main" in outcome.error


def in_offline_mode(composer: Composer) -> Composer:
    return replace(composer, environment={**composer.environment, "IMAGE_COMPOSER_OFFLINE": "1"})


def test_a_folder_with_something_else_in_it_is_refused_before_the_work_begins(changing: Mirror, file: Path) -> None:
    holiday = file.with_name("out") / "holiday.jpg"
    holiday.parent.mkdir()
    holiday.write_text("palms")
    with nothing_left(changing.composer, file.parent):
        outcome = changing.composer.run("build", "-f", file, "-o", holiday.parent)
    assert (outcome.status, outcome.code) == (2, "PUBLISH_NOT_OURS")
    assert str(holiday.parent) in outcome.error
    assert "resolve" not in outcome.said


@pytest.mark.network
@pytest.mark.build
def test_an_image_holds_exactly_the_packages_of_the_lock(bootable: Composer, finished: Path, tmp_path: Path) -> None:
    file = write_document(tmp_path, document())
    out = tmp_path / "out"
    outcome = bootable.run("build", "-f", file, "-o", out, "--lock", finished / "lock.json")
    assert outcome.status == 0, outcome.error
    inspected = bootable.run("inspect", "--json", out / "edge-1.0-x86_64.raw")
    assert inspected.status == 0, inspected.error
    held = {package["name"]: package["version"] for package in json.loads(inspected.printed)["packages"]}
    assert held == versions(finished / "lock.json") == versions(out / "edge-1.0-x86_64.lock.json")
