"""An immutable eLxr on erofs, out of an archive like the vendor's: composed by the profile, it starts and is whole."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_composer_providers.debian.provider import PROVIDER as DEBIAN
from image_composer_providers.elxr.provider import PROVIDER
from support.composer import Composer, write_document
from support.elxrrepo import FIRMWARE, KEYRING, ElxrArchive, elxr_archive
from support.guest import FirstBoot, first_boot, versions
from support.image import ARGUMENT, VIRTUAL, Credentials, Image, build, immutable_document
from support.marks import on_the_machine
from support.started import ImmutableMachine

pytestmark = [pytest.mark.build, pytest.mark.network]

EXAMPLE = Path(__file__).parents[2] / "examples" / "elxr-12.yaml"


@pytest.fixture(scope="module")
def archive(composer: Composer) -> ElxrArchive:
    return elxr_archive(composer)


@pytest.fixture(scope="module")
def site(composer: Composer, archive: ElxrArchive) -> Composer:
    """The composer of a site that has a mirror of its own, which signs with a key of its own."""
    return Composer(composer.cache, {**composer.environment, **archive.environment})


@pytest.fixture(scope="module")
def image(site: Composer, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image-elxr")
    asked = {
        **immutable_document("erofs", credentials),
        "name": "gate-elxr",
        "target": {"distribution": "elxr", "release": "12", "architecture": "x86_64"},
        "profile": "edge",
        "kernel": {"package": VIRTUAL, "commandLine": [ARGUMENT]},
        "packages": ["htop", FIRMWARE],
        "excludePackages": ["wget"],
    }
    yield build(site, write_document(folder, asked), folder / "published")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def booted(image: Image, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstBoot]:
    seen = first_boot(image, credentials, tmp_path_factory.mktemp("machine-elxr"))
    yield seen
    seen.disk.unlink()


class TestMachine(ImmutableMachine):
    """See there."""


def test_without_the_archives_key_nothing_is_taken_from_it(composer: Composer, archive: ElxrArchive) -> None:
    mirror = {name: value for name, value in archive.environment.items() if "MIRROR" in name}
    outcome = Composer(composer.cache, mirror).run("lock", "-f", EXAMPLE)
    assert (outcome.status, outcome.code) == (1, "REPO_KEY_NEEDED")
    assert "IMAGE_COMPOSER_KEYS_ELXR" in outcome.hint


def test_another_key_than_the_archives_is_not_taken(composer: Composer, archive: ElxrArchive, tmp_path: Path) -> None:
    key = tmp_path / "debian.asc"
    key.write_bytes(DEBIAN.key("bookworm-stable.asc"))
    other = {**archive.environment, "IMAGE_COMPOSER_KEYS_ELXR": str(key)}
    outcome = Composer(composer.cache, other).run("lock", "-f", EXAMPLE)
    assert (outcome.status, outcome.code) == (1, "REPO_KEY_UNKNOWN")


def test_the_example_can_be_locked(site: Composer) -> None:
    outcome = site.run("lock", "-f", EXAMPLE)
    assert outcome.status == 0, outcome.said
    names = {package["name"] for package in json.loads(outcome.printed)["packages"]}
    assert {"chrony", "openssh-server", KEYRING} <= names
    assert not {"wget", "systemd-timesyncd"} & names


def test_the_packages_are_the_profiles_with_what_the_spec_adds_and_without_what_it_takes(image: Image) -> None:
    requested = {package.name for package in image.lock.packages if package.requested}
    profile = {package.name for package in PROVIDER.manifest("12").profiles["edge"].packages}
    assert profile - {"wget"} <= requested
    assert {"htop", FIRMWARE} <= requested
    assert "wget" not in image.packages


def test_both_components_are_used(image: Image) -> None:
    [repository] = image.lock.repositories
    assert (repository.id, repository.suite, repository.components) == (
        "elxr-12",
        "aria",
        ["main", "non-free-firmware"],
    )


def test_the_bill_of_materials_names_packages_of_elxr(image: Image) -> None:
    locators = [
        reference["referenceLocator"]
        for package in image.sbom["packages"]
        for reference in package.get("externalRefs", [])
        if reference["referenceType"] == "purl"
    ]
    assert len(locators) == len(image.lock.packages)
    assert [purl for purl in locators if not re.match(r"pkg:deb/elxr/[^/]+@[^?]+\?arch=", purl)] == []
    assert all("distro=elxr-12" in purl for purl in locators)


def test_the_image_says_what_it_is(image: Image) -> None:
    assert (image.report.os_release["ID"], image.report.os_release["VERSION_CODENAME"]) == ("elxr", "aria")
    with image.root() as root:
        assert "ID=elxr\n" in root.text("/usr/lib/os-release")


def test_the_kernel_gets_the_distributions_arguments(image: Image) -> None:
    arguments = (image.report.ukis[0].command_line or "").split()
    own = list(PROVIDER.manifest("12").architectures[image.spec.target.architecture].command_line)
    assert arguments[-len(own) - 1 : -1] == own


@on_the_machine
def test_dpkg_finds_every_package_whole_and_every_file_as_it_was_packed(booted: FirstBoot, image: Image) -> None:
    assert (booted.facts["audit"].text, booted.facts["audit"].status) == ("", 0)
    assert booted.facts["verify"].lines == []
    assert versions(booted.facts["packages"].lines) == image.packages


@on_the_machine
def test_updates_come_from_the_vendors_archive(booted: FirstBoot) -> None:
    releases = {line.split("'")[1] for line in booted.facts["updates"].lines}
    assert {url for url in releases if url.endswith("/InRelease")} == {
        "https://mirror.elxr.dev/elxr/dists/aria/InRelease"
    }
