from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from image_composer.digest import file_sha256
from image_composer.errors import ComposerError
from image_composer.report import Event, Reporter
from image_composer.repository.lock import LockedPackage
from image_composer.repository.sources import RpmSource
from image_composer.run import Runner
from image_composer.spec.image import Signed
from image_composer.store.content import ContentStore
from image_composer.store.rpm_trust import verify_packages
from support.openpgp import Key, Keychain
from support.rawrpms import RawRpm, flip, minimal, signed

NAMES = ["bash", "kernel", "systemd"]


@dataclass
class Events:
    seen: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.seen.append(event)


@dataclass
class Scene:
    """Packages in files, a store, and what was run and said."""

    files: dict[str, Path]
    packages: list[LockedPackage]
    source: RpmSource
    store: ContentStore
    events: Events = field(default_factory=Events)

    def verify(self, **changes: RpmSource) -> list[str]:
        """Verify; gives the programs that were run."""
        self.events.seen.clear()
        reporter = Reporter(self.events)
        sources: Mapping[str, RpmSource] = changes or {"base": self.source}
        verify_packages(
            self.files, self.packages, sources, store=self.store, runner=Runner(reporter), reporter=reporter, jobs=2
        )
        return [event.message for event in self.events.seen if event.kind == "command"]

    def refused(self, **changes: RpmSource) -> ComposerError:
        with pytest.raises(ComposerError) as caught:
            self.verify(**changes)
        return caught.value


@pytest.fixture(scope="module")
def keychain() -> Iterator[Keychain]:
    with Keychain() as keychain:
        yield keychain


@pytest.fixture(scope="module")
def key(keychain: Keychain) -> Key:
    return keychain.make("vendor")


@pytest.fixture(scope="module")
def made(keychain: Keychain, key: Key, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for name in NAMES:
        signed(RawRpm(minimal(name=name), name=name), keychain, key, folder)
    return folder


@pytest.fixture
def scene(made: Path, key: Key, tmp_path: Path) -> Scene:
    folder = Path(shutil.copytree(made, tmp_path / "packages"))
    files = {name: folder / f"{name}.rpm" for name in NAMES}
    source = RpmSource(id="base", url="https://rpm.example.org", architecture="x86_64", keys=(key.public,))
    packages = [locked(name, file) for name, file in files.items()]
    return Scene(files, packages, source, ContentStore(tmp_path / "cache", 10**9))


def locked(name: str, file: Path) -> LockedPackage:
    return LockedPackage(
        name=name,
        version="1.0-1",
        architecture="noarch",
        url=f"https://rpm.example.org/{name}.rpm",
        sha256=file_sha256(file),
        size=file.stat().st_size,
        installed_size=0,
        repository="base",
        source=name,
        source_version="1.0-1",
    )


def test_every_package_is_verified_and_counted(scene: Scene) -> None:
    assert len(scene.verify()) == len(NAMES)
    counted = [(event.done, event.total) for event in scene.events.seen if event.kind == "progress"]
    assert counted == [(1, 3), (2, 3), (3, 3)]


def test_nothing_is_verified_twice(scene: Scene) -> None:
    scene.verify()
    assert scene.verify() == []


def test_other_keys_ask_for_another_look(scene: Scene, keychain: Keychain, key: Key) -> None:
    scene.verify()
    more = replace(scene.source, keys=(key.public, keychain.make("second").public))
    assert len(scene.verify(base=more)) == len(NAMES)
    other = replace(scene.source, keys=(keychain.make("third").public,))
    assert scene.refused(base=other).code == "REPO_KEY_UNKNOWN"


def test_a_bad_package_is_named_and_never_remembered_as_good(scene: Scene) -> None:
    flip(scene.files["kernel"], -1)
    for _ in range(2):
        error = scene.refused()
        assert error.code == "REPO_SIGNATURE_INVALID"
        assert error.message.startswith("repository base: package kernel 1.0-1 ")


def test_a_signed_package_under_another_name_is_refused(scene: Scene) -> None:
    scene.verify()
    scene.files["bash"] = scene.files["systemd"]
    error = scene.refused()
    assert error.code == "REPO_PACKAGE_MISMATCH"
    assert "package bash 1.0-1 is in truth the package systemd-1.0-1.noarch" in error.message


def test_where_the_metadata_vouches_for_packages_they_need_no_signature(scene: Scene) -> None:
    unsigned = RawRpm(minimal(name="bash"), name="unsigned").write(scene.files["bash"].parent)
    scene.files["bash"] = unsigned
    scene.packages[0] = locked("bash", unsigned)
    assert scene.refused().code == "REPO_UNSIGNED"
    by_metadata = replace(scene.source, signed=Signed.METADATA)
    assert scene.verify(base=by_metadata) == []
    scene.files["bash"] = scene.files["kernel"]
    assert scene.refused(base=by_metadata).code == "REPO_PACKAGE_MISMATCH"


def test_a_package_from_nowhere_is_refused(scene: Scene) -> None:
    assert scene.refused(other=replace(scene.source, id="other")).code == "LOCK_INCONSISTENT"
