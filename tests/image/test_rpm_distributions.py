"""Immutable images of Azure Linux and EMT, out of repositories like the vendors': they start and are whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from image_composer.manifest import Manifest
from image_composer.provider import load_providers
from support.composer import Composer, write_document
from support.guest import FirstBoot, first_boot, versions
from support.image import Credentials, Image, build, immutable_document
from support.marks import on_the_machine
from support.rpms import RpmDistribution, rpm_distribution
from support.started import ImmutableMachine

pytestmark = [pytest.mark.build, pytest.mark.network]

Name = Literal["azurelinux", "emt"]

ROOTS: dict[Name, str | None] = {"azurelinux": "squashfs", "emt": None}
"""File systems of the roots; None: as the distribution lays the disk out."""

SETTINGS = {
    "/etc/fstab", "/etc/group", "/etc/gshadow", "/etc/hosts", "/etc/hostname", "/etc/locale.conf", "/etc/machine-id",
    "/etc/passwd", "/etc/shadow", "/etc/subgid", "/etc/subuid", "/etc/systemd/network/99-dhcp-en.network",
}  # fmt: skip
"""Configuration files of packages that the spec, or the machine's first boot, changes."""


@pytest.fixture(scope="module", params=["azurelinux", "emt"])
def name(request: pytest.FixtureRequest) -> Name:
    found: Name = request.param
    return found


@pytest.fixture(scope="module")
def manifest(name: Name) -> Manifest:
    return load_providers()[name].manifest("3.0")


@pytest.fixture(scope="module")
def archive(name: Name) -> RpmDistribution:
    return rpm_distribution(name)


@pytest.fixture(scope="module")
def site(composer: Composer, archive: RpmDistribution) -> Composer:
    """The composer of a site that has a mirror of its own, which signs with a key of its own."""
    settings = {
        f"IMAGE_COMPOSER_MIRROR_{archive.name.upper()}": archive.folder.as_uri(),
        f"IMAGE_COMPOSER_KEYS_{archive.name.upper()}": str(archive.key),
    }
    return Composer(composer.cache, {**composer.environment, **settings})


@pytest.fixture(scope="module")
def image(
    name: Name, site: Composer, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp(f"image-{name}")
    asked = {
        **immutable_document(ROOTS[name], credentials),
        "name": f"gate-{name}",
        "target": {"distribution": name, "release": "3.0", "architecture": "x86_64"},
        "profile": "minimal",
        "packages": ["openssh-server"],
        "excludePackages": ["irqbalance"],
        **({"immutable": {"etc": "volatile"}} if name == "emt" else {}),
    }
    yield build(site, write_document(folder, asked), folder / "published")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def booted(image: Image, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstBoot]:
    seen = first_boot(image, credentials, tmp_path_factory.mktemp("machine-rpm"))
    yield seen
    seen.disk.unlink()


class TestMachine(ImmutableMachine):
    """See there."""


def test_the_vendors_key_is_asked_for_when_the_machine_names_none(
    name: Name, composer: Composer, archive: RpmDistribution, tmp_path: Path
) -> None:
    """The mirror signs with a key of its own, so what the provider brings must not do."""
    mirror = {f"IMAGE_COMPOSER_MIRROR_{name.upper()}": archive.folder.as_uri()}
    spec = {"name": "a", "version": "1", "target": {"distribution": name, "release": "3.0"}}
    outcome = Composer(composer.cache, mirror).run(
        "build", "-f", write_document(tmp_path, spec), "-o", tmp_path / "out"
    )
    assert (outcome.status, outcome.code) == (1, "REPO_KEY_UNKNOWN"), outcome.said


def test_the_packages_are_the_distributions_with_what_the_spec_adds_and_without_what_it_takes(
    image: Image, manifest: Manifest
) -> None:
    requested = {package.name for package in image.lock.packages if package.requested}
    assert {*manifest.base_packages, "openssh-server", "kernel", "dracut"} <= requested
    assert "irqbalance" not in image.packages


def test_the_bill_of_materials_names_packages_of_the_distribution(image: Image, name: Name) -> None:
    locators = [
        reference["referenceLocator"]
        for package in image.sbom["packages"]
        for reference in package.get("externalRefs", [])
        if reference["referenceType"] == "purl"
    ]
    assert len(locators) == len(image.lock.packages)
    tag = {"azurelinux": "azl3", "emt": "emt3"}[name]
    pattern = rf"pkg:rpm/{name}/[^/@]+@[^?:]+\.{tag}\?arch=(x86_64|noarch)&distro={name}-3\.0&"
    assert [purl for purl in locators if not re.match(pattern, purl)] == []


def test_the_initramfs_is_in_the_kernel_image_alone(image: Image) -> None:
    with image.root() as root:
        assert [found for found in root.names("/boot") if "initr" in found] == []
        assert "00-image-composer.conf" not in root.names("/etc/dracut.conf.d")


@on_the_machine
def test_the_machine_s_own_rpm_knows_every_package_of_the_lock(booted: FirstBoot, image: Image) -> None:
    assert booted.facts["audit"].status == 0
    assert versions(booted.facts["packages"].lines) == image.packages


@on_the_machine
def test_every_file_is_as_it_was_packed_but_for_named_settings(booted: FirstBoot, image: Image) -> None:
    """An immutable image says its own version in a file in place of the package's link."""
    differing = [line.split() for line in booted.facts["verify"].lines]
    own = {"/etc/os-release"} if image.spec.mutability == "immutable" else set()
    packed = [words for words in differing if words[-1] not in own]
    assert [words for words in packed if words[1:2] != ["c"] or words[2] not in SETTINGS] == []


@on_the_machine
def test_file_capabilities_are_kept(booted: FirstBoot) -> None:
    assert "cap_net_raw" in booted.facts["capabilities"].text


def test_inspect_tells_the_packages_that_rpm_s_database_knows(image: Image) -> None:
    assert {package.name: package.version for package in image.report.packages} == image.packages
