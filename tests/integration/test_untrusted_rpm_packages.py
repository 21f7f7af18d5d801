"""Rpm packages and metadata that can't be trusted, by the command line: an error that names them, never a warning."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from image_composer.digest import bytes_sha256, file_sha256
from image_composer.spec.image import Signed
from support.composer import SCREEN, Composer, Outcome, nothing_left, write_document
from support.debrepo import served
from support.distribution import OwnRpmRepository, document, write_distribution
from support.openpgp import MADE, Key, Keychain
from support.rpmbuild import Rpm, make_rpm
from support.rpmrepo import PUBLISHED
from support.tinyrpms import ARCHITECTURE, RpmMirror

TOOL = Rpm("tool", "2.0", files={"usr/bin/tool": "#!/bin/sh\n"})
OLD_TOOL = replace(TOOL, version="1.0")
OTHER = Rpm("other", files={"usr/bin/other": "#!/bin/sh\n"})
BASE = Rpm("tiny-boot")
DRACUT = Rpm("dracut")


@dataclass(frozen=True)
class Scene:
    """A distribution of three packages, one of which is asked for, and what builds it."""

    folder: Path
    made: Mapping[str, Path]
    """Unsigned packages by file name."""

    mirror: RpmMirror
    url: str
    keys: tuple[Key, ...]
    signed: Signed = Signed.METADATA_AND_PACKAGES
    settings: Mapping[str, str] = field(default_factory=dict)

    def add(self, rpm: Rpm, *keys: Key, at: datetime = PUBLISHED) -> Path:
        """Put a package into the repository, signed with a key or unsigned."""
        return self.mirror.add(self.made[rpm.file_name], *keys, at=at)

    def publish(self, *keys: Key) -> None:
        """Have the packages that every image has, signed with some key, beside what is there, and signed metadata."""
        for rpm in (BASE, DRACUT):
            self.add(rpm, *keys)
        self.mirror.index(*keys)

    def composer(self) -> Composer:
        """Give the composer with the distribution as its facts are now."""
        place = Path(mkdtemp(prefix="distribution-", dir=self.folder))
        repository = OwnRpmRepository(self.url, self.keys, self.signed)
        facts = {"initramfs": {"generator": "dracut", "packages": ["dracut"]}}
        known = write_distribution(place, repository, facts=facts)
        return Composer(self.folder / "cache", {**known, **self.settings})

    def refused(self, code: str, *said: str, status: int = 1, **changes: Any) -> Outcome:
        """Build, perhaps with more in the document; it must fail, say so in a few lines and leave nothing."""
        place = self.folder / "place"
        place.mkdir()
        composer, file = self.composer(), write_document(place, document(packages=["tool"], **changes))
        with nothing_left(composer, place):
            outcome = composer.run("build", "-f", file, "-o", place / "out")
        assert (outcome.status, outcome.code) == (status, code), outcome.said
        assert [words for words in said if words not in outcome.error] == []
        assert len(outcome.error.splitlines()) <= SCREEN
        return outcome

    def fetched(self) -> dict[str, str]:
        """Run the stages up to the packages and give their files by name."""
        composer, workspace = self.composer(), Path(mkdtemp(prefix="workspace-", dir=self.folder))
        file = write_document(self.folder, document(packages=["tool"]))
        for words in (["validate", "--file", str(file)], ["resolve"], ["fetch"]):
            outcome = composer.run("stage", *words, "--workspace", workspace)
            assert outcome.status == 0, outcome.said
        names: dict[str, str] = json.loads((workspace / "fetch.json").read_text())["files"]
        assert {path.name for path in (workspace / "packages").iterdir()} == set(names.values())
        return names


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    return {rpm.file_name: make_rpm(rpm, folder) for rpm in (TOOL, OLD_TOOL, OTHER, BASE, DRACUT)}


@pytest.fixture(scope="module")
def second_key(keychain: Keychain) -> Key:
    return keychain.make("second")


@pytest.fixture
def scene(tmp_path: Path, made: Mapping[str, Path], keychain: Keychain, key: Key) -> Iterator[Scene]:
    mirror = RpmMirror(tmp_path / "served", keychain)
    mirror.folder.mkdir()
    with served(mirror.folder) as url:
        yield Scene(tmp_path, made, mirror, url, (key,))


IN_TESTING = "repository testing-main"
THE_TOOL = f"{IN_TESTING}: package tool 2.0-1"


@pytest.mark.parametrize("signed", Signed)
def test_what_is_signed_as_it_must_be_is_fetched(scene: Scene, key: Key, signed: Signed) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    assert set(replace(scene, signed=signed).fetched()) == {"dracut", "tiny-boot", "tool"}


@pytest.mark.parametrize("signed", [Signed.METADATA_AND_PACKAGES, Signed.PACKAGES])
def test_a_package_of_another_key_is_refused_and_the_key_named(
    scene: Scene, key: Key, other_key: Key, signed: Signed
) -> None:
    scene.add(TOOL, other_key)
    scene.publish(key)
    replace(scene, signed=signed).refused("REPO_KEY_UNKNOWN", IN_TESTING, "package tool 2.0-1", other_key.fingerprint)


@pytest.mark.parametrize("signed", [Signed.METADATA_AND_PACKAGES, Signed.PACKAGES])
def test_an_unsigned_package_is_refused(scene: Scene, key: Key, signed: Signed) -> None:
    scene.add(TOOL)
    scene.publish(key)
    replace(scene, signed=signed).refused("REPO_UNSIGNED", THE_TOOL, "carries no signature")


def test_where_the_metadata_vouches_for_packages_unsigned_ones_are_fetched(scene: Scene, key: Key) -> None:
    scene.add(TOOL)
    for rpm in (BASE, DRACUT):
        scene.add(rpm)
    scene.mirror.index(key)
    assert "tool" in replace(scene, signed=Signed.METADATA).fetched()


def test_a_package_that_was_signed_after_its_key_had_expired_is_refused(
    scene: Scene, key: Key, keychain: Keychain
) -> None:
    lapsed = keychain.make("lapsed-packager", expires="30d")
    keychain.prolong(lapsed, "2y", at=MADE + timedelta(days=9))
    scene.add(TOOL, lapsed)
    scene.publish(key)
    replace(scene, keys=(key, lapsed)).refused("REPO_KEY_EXPIRED", IN_TESTING, "package tool 2.0-1", "expired")


def test_a_package_whose_key_has_expired_since_is_fetched(scene: Scene, key: Key, keychain: Keychain) -> None:
    brief = keychain.make("brief-packager", expires="30d")
    scene.add(TOOL, brief, at=MADE + timedelta(days=9))
    scene.publish(key)
    assert "tool" in replace(scene, keys=(key, brief)).fetched()


def test_any_key_of_the_set_may_sign_a_package_or_the_metadata(scene: Scene, key: Key, second_key: Key) -> None:
    scene.add(TOOL, second_key)
    scene.publish(key)
    both = replace(scene, keys=(key, second_key))
    assert "tool" in both.fetched()
    scene.mirror.sign(second_key)
    assert "tool" in both.fetched()


def test_what_was_found_good_by_one_key_is_not_by_another(scene: Scene, key: Key, other_key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    trusting = replace(scene, signed=Signed.PACKAGES)
    trusting.fetched()
    replace(trusting, keys=(other_key,)).refused("REPO_KEY_UNKNOWN", IN_TESTING, key.fingerprint)


def test_a_key_counts_for_its_own_repository_alone(scene: Scene, key: Key, other_key: Key) -> None:
    scene.publish(key)
    extra = RpmMirror(scene.mirror.folder / "extra", scene.mirror.keychain)
    extra.add(scene.made[TOOL.file_name], key)
    extra.index(other_key)
    repository = {"id": "extra", "url": f"{scene.url}/extra/{ARCHITECTURE}", "key": other_key.public.decode()}
    scene.refused(
        "REPO_KEY_UNKNOWN", "repository extra", "package tool 2.0-1", key.fingerprint, repositories=[repository]
    )


def test_a_package_that_was_swapped_under_its_digest_is_refused(scene: Scene, key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    there = scene.mirror.package(TOOL)
    there.write_bytes(there.read_bytes()[:-1] + b"!")
    scene.refused("REPO_DIGEST_MISMATCH", "tool 2.0-1", "testing-main")


@pytest.mark.parametrize("foreign", [OTHER, OLD_TOOL], ids=["another", "an older one"])
def test_unsigned_metadata_cannot_pass_off_a_signed_package_as_another(scene: Scene, key: Key, foreign: Rpm) -> None:
    """What the vendor really signed is there in place of what is wanted."""
    scene.add(TOOL, key)
    scene.publish(key)
    place, wanted = scene.add(foreign, key), scene.mirror.package(TOOL)
    before = file_sha256(wanted), wanted.stat().st_size
    shutil.move(place, wanted)
    change_primary(
        scene.mirror,
        {
            before[0]: file_sha256(wanted),
            f'package="{before[1]}"': f'package="{wanted.stat().st_size}"',
        },
    )
    said = f"is in truth the package {foreign.name}-{foreign.version}-1.noarch, not tool-2.0-1.noarch"
    replace(scene, signed=Signed.PACKAGES).refused("REPO_PACKAGE_MISMATCH", THE_TOOL, said)


def test_unsigned_metadata_cannot_bring_a_package_of_the_one_who_changed_it(
    scene: Scene, key: Key, other_key: Key
) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    scene.add(TOOL, other_key)
    scene.mirror.index()
    replace(scene, signed=Signed.PACKAGES).refused("REPO_KEY_UNKNOWN", "package tool 2.0-1", other_key.fingerprint)


def test_a_missing_signature_of_the_metadata_is_named(scene: Scene, key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    scene.mirror.sign()
    scene.refused("REPO_UNSIGNED", IN_TESTING, "repodata/repomd.xml carries no signature")


def test_metadata_that_was_changed_after_signing_is_refused(scene: Scene, key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    change_primary(scene.mirror, {"<version": "<version "})
    scene.refused("REPO_SIGNATURE_INVALID", IN_TESTING, "repodata/repomd.xml")


def test_metadata_that_is_cut_short_is_refused(scene: Scene, key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    primary = scene.mirror.metadata("primary")
    primary.write_bytes(primary.read_bytes()[:-20])
    scene.refused("REPO_SIZE_MISMATCH", IN_TESTING, "primary.xml.gz")


def test_keys_of_the_machine_take_the_place_of_the_distributions(scene: Scene, key: Key, other_key: Key) -> None:
    scene.add(TOOL, other_key)
    scene.publish(other_key)
    theirs = write_key(scene, other_key.public)
    assert "tool" in replace(scene, settings={"IMAGE_COMPOSER_KEYS_TESTING": theirs}).fetched()


def test_the_distributions_own_keys_count_no_more_then(scene: Scene, key: Key, other_key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    theirs = write_key(scene, other_key.public)
    replace(scene, settings={"IMAGE_COMPOSER_KEYS_TESTING": theirs}).refused(
        "REPO_KEY_UNKNOWN", IN_TESTING, key.fingerprint
    )


def test_a_file_of_the_machine_that_holds_no_key_is_refused(scene: Scene, key: Key) -> None:
    scene.add(TOOL, key)
    scene.publish(key)
    wrong = write_key(scene, b"ssh-ed25519 AAAA\n")
    outcome = replace(scene, settings={"IMAGE_COMPOSER_KEYS_TESTING": wrong}).refused(
        "REPO_KEY_INVALID", "testing-main"
    )
    assert "key" in outcome.error


def test_a_file_of_the_machine_that_is_not_there_is_named(scene: Scene) -> None:
    absent = str(scene.folder / "absent.asc")
    wrong = replace(scene, settings={"IMAGE_COMPOSER_KEYS_TESTING": absent})
    wrong.refused("SETTINGS_INVALID", "IMAGE_COMPOSER_KEYS_TESTING", absent, status=2)


def write_key(scene: Scene, content: bytes) -> str:
    path = scene.folder / "site.asc"
    path.write_bytes(content)
    return str(path)


def change_primary(mirror: RpmMirror, changes: Mapping[str, str]) -> None:
    """Change primary.xml, and repomd.xml so that it fits, whatever was signed."""
    primary, repomd = mirror.metadata("primary"), mirror.repository / "repodata" / "repomd.xml"
    packed = primary.read_bytes()
    text = gzip.decompress(packed).decode()
    changed = text
    for old, new in changes.items():
        assert old in changed
        changed = changed.replace(old, new)
    repacked = gzip.compress(changed.encode(), mtime=0)
    index = repomd.read_text()
    for old, new in (
        (bytes_sha256(packed), bytes_sha256(repacked)),
        (bytes_sha256(text.encode()), bytes_sha256(changed.encode())),
        (f"<size>{len(packed)}</size>", f"<size>{len(repacked)}</size>"),
        (f"<open-size>{len(text.encode())}</open-size>", f"<open-size>{len(changed.encode())}</open-size>"),
    ):
        index = index.replace(old, new)
    repomd.write_text(index)
    primary.rename(primary.with_name(f"{bytes_sha256(repacked)}-primary.xml.gz")).write_bytes(repacked)
