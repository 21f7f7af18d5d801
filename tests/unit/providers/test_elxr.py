"""The eLxr provider: its facts hold together, and it finds the mirrors that an eLxr host uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from image_composer.errors import RepositoryError
from image_composer.manifest import Family, Manifest
from image_composer.provider import Provider, load_providers
from image_composer.repository.sources import DebSource
from image_composer.spec.image import Architecture
from image_composer.spec.rules import spec_problems
from image_composer.spec.rules_target import target_problems
from image_composer.steps.resolve import package_query, repository_sources
from image_composer_providers.elxr.provider import PROVIDER
from support.specs import image_spec

HOST = {"ID": "elxr", "VERSION_ID": "12"}
RELEASES = PROVIDER.releases()
KEYS = {"elxr": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}


@pytest.fixture(params=RELEASES)
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return PROVIDER.manifest(request.param)


def test_the_provider_is_found_by_its_entry_point() -> None:
    assert load_providers()["elxr"] is PROVIDER
    assert isinstance(PROVIDER, Provider)
    assert list(RELEASES) == ["12", "13"]


def test_each_release_has_the_manifest_that_names_it(manifest: Manifest) -> None:
    assert (manifest.distribution, manifest.family) == ("elxr", Family.DEB)
    assert manifest.codename in manifest.title
    assert [repository.suite for repository in manifest.repositories] == [manifest.codename]


def test_elxr_12_is_where_the_vendor_keeps_it() -> None:
    [repository] = PROVIDER.manifest("12").repositories
    assert (repository.archive, repository.url) == ("elxr", "https://mirror.elxr.dev/elxr")
    assert (repository.suite, repository.components) == ("aria", ["main", "non-free-firmware"])


def test_no_key_is_trusted_that_nobody_has_checked(manifest: Manifest) -> None:
    spec = image_spec(target={"distribution": "elxr", "release": manifest.release})
    facts = manifest.architectures[Architecture.X86_64]
    with pytest.raises(RepositoryError) as caught:
        repository_sources(spec, PROVIDER, manifest, facts, mirrors={}, keys={})
    assert caught.value.code == "REPO_KEY_NEEDED"
    assert "IMAGE_COMPOSER_KEYS_ELXR" in (caught.value.hint or "")


def test_a_sites_mirror_and_its_key_stand_instead_of_the_vendors(manifest: Manifest) -> None:
    spec = image_spec(target={"distribution": "elxr", "release": manifest.release})
    facts = manifest.architectures[Architecture.X86_64]
    mirrors = {"elxr": "https://mirror.example.org/elxr"}
    [source] = repository_sources(spec, PROVIDER, manifest, facts, mirrors=mirrors, keys=KEYS)
    assert isinstance(source, DebSource)
    assert (source.url, source.suite, source.keys) == (mirrors["elxr"], manifest.codename, (KEYS["elxr"],))


def test_every_architecture_has_its_own_boot_files(manifest: Manifest) -> None:
    assert set(manifest.architectures) == set(manifest.boot_files) == set(Architecture)
    short = {Architecture.X86_64: "x64", Architecture.AARCH64: "aa64"}
    for architecture, places in manifest.boot_files.items():
        assert places.stub.endswith(f"linux{short[architecture]}.efi.stub")
        assert places.loader.endswith(f"systemd-boot{short[architecture]}.efi")


def test_names_in_a_manifest_are_there_once(manifest: Manifest) -> None:
    profiles = [package.name for profile in manifest.profiles.values() for package in profile.packages]
    defaults = [default.name for default in manifest.default_packages]
    for names in (
        [*manifest.base_packages, *defaults, *profiles],
        [file.path for file in manifest.files],
        [unit.name for unit in manifest.units],
    ):
        assert len(names) == len(set(names))


def test_the_default_layout_obeys_the_rules_for_layouts(manifest: Manifest) -> None:
    spec = image_spec(
        target={"distribution": "elxr", "release": manifest.release},
        disk={"partitions": [partition.model_dump(mode="json") for partition in manifest.partitions]},
    )
    assert spec_problems(spec, "", frozenset()) == []
    assert target_problems(spec, manifest, "") == []


def test_units_of_our_own_are_written_before_they_are_enabled(manifest: Manifest) -> None:
    written = {Path(file.path).name: file.requires for file in manifest.files if "/systemd/system/" in file.path}
    enabled = {unit.name: unit.requires for unit in manifest.units}
    assert written.items() <= enabled.items()


def test_the_image_updates_itself_from_the_archive_it_was_made_from(manifest: Manifest) -> None:
    sources = next(file for file in manifest.files if file.path.endswith(".sources")).content
    [repository] = manifest.repositories
    assert f"URIs: {repository.url}\nSuites: {repository.suite}\n" in sources
    assert f"Components: {' '.join(repository.components)}\n" in sources
    keyring = re.search(r"^Signed-By: /usr/share/keyrings/(.*)\.gpg$", sources, re.MULTILINE)
    assert keyring is not None
    assert keyring[1] in manifest.base_packages


def test_a_spec_adds_to_the_edge_profile_and_takes_from_it(manifest: Manifest) -> None:
    spec = image_spec(
        target={"distribution": "elxr", "release": manifest.release},
        profile="edge",
        packages=["htop", "vim-tiny"],
        exclude_packages=["wget"],
    )
    names = package_query(spec, manifest, manifest.architectures[Architecture.X86_64]).names
    assert {"htop", "vim-tiny", "curl", "openssh-server"} <= set(names)
    assert not {"wget", "vim"} & set(names)


def test_the_minimal_profile_is_taken_when_none_is_named(manifest: Manifest) -> None:
    facts = manifest.architectures[Architecture.X86_64]
    target = {"distribution": "elxr", "release": manifest.release}
    unnamed = package_query(image_spec(target=target, packages=[]), manifest, facts)
    assert unnamed == package_query(image_spec(target=target, packages=[], profile="minimal"), manifest, facts)
    assert "openssh-server" not in unnamed.names


@pytest.mark.parametrize(
    ("os_release", "line", "expected"),
    [
        (HOST, "deb [signed-by=/k.gpg] https://m.example/elxr aria main", {"elxr": "https://m.example/elxr"}),
        (HOST, "deb http://m.example/debian bookworm main", {}),
        ({"ID": "debian"}, "deb https://m.example/elxr aria main", {}),
    ],
)
def test_mirrors_are_those_of_an_elxr_host_for_its_suites(
    os_release: dict[str, str], line: str, expected: dict[str, str]
) -> None:
    assert PROVIDER.host_mirrors(os_release, {"/etc/apt/sources.list": line}) == expected
