"""What is asked of the solver, of which repositories, and when a lock fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import RepositoryError
from image_composer.manifest import DefaultPackage, Manifest, Profile
from image_composer.provider import Provider, load_providers
from image_composer.repository.lock import Lock, LockedPackage, LockedRepository
from image_composer.repository.query import PackageQuery
from image_composer.repository.sources import DebSource, RepositorySource
from image_composer.settings import Settings
from image_composer.spec.image import Architecture, Target
from image_composer.steps.resolve import (
    mirror_urls,
    package_query,
    repository_sources,
    request_digest,
    with_mirrors,
)
from support.specs import image_spec

DEBIAN: Provider = load_providers()["debian"]
MANIFEST: Manifest = DEBIAN.manifest("12")
FACTS = MANIFEST.architectures[Architecture.X86_64]
REPOSITORY: dict[str, Any] = {"id": "mine", "url": "https://example.org/deb/", "suite": "stable", "key": "k"}


def query(**fields: Any) -> PackageQuery:
    return package_query(image_spec(**fields), MANIFEST, FACTS)


def test_every_image_has_base_kernel_boot_loader_and_initramfs() -> None:
    names = set(query().names)
    wanted = {*MANIFEST.base_packages, FACTS.kernel_package, *FACTS.boot_packages, *MANIFEST.initramfs.packages}
    assert wanted <= names
    assert "sudo" not in names


def test_each_name_is_asked_for_once_and_the_user_s_version_counts() -> None:
    base = MANIFEST.base_packages[0]
    names = query(packages=["curl=8", f"{base}=1", "vim", "vim"]).names
    assert names[:3] == ("curl=8", f"{base}=1", "vim")
    assert base not in names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("sudo", "brought"), [("none", False), ("password", True), ("passwordless", True)])
def test_sudo_is_brought_when_a_user_has_it(sudo: str, brought: bool) -> None:
    assert ("sudo" in query(users=[{"name": "a"}, {"name": "me", "sudo": sudo}]).names) is brought


@pytest.mark.parametrize(
    ("update", "brought"),
    [
        (None, set()),
        ({"url": "https://example.org", "verify": "none"}, {"systemd-container"}),
        ({"url": "https://example.org", "key": "k"}, {"systemd-container", "gpg"}),
    ],
)
def test_what_updates_a_machine_is_brought_when_it_is_to_update_itself(
    update: dict[str, str] | None, brought: set[str]
) -> None:
    manifest = DEBIAN.manifest("13")
    spec = image_spec(mutability="immutable", immutable={"update": update})
    names = package_query(spec, manifest, manifest.architectures[Architecture.X86_64]).names
    assert {"systemd-container", "gpg"} & {*names} == brought


@pytest.mark.parametrize(
    ("loader", "brought"),
    [
        ({}, {"systemd-boot"}),
        ({"type": "grub"}, {"grub2-common", "grub-efi-amd64-bin"}),
        ({"type": "grub", "firmware": "bios"}, {"grub2-common", "grub-pc-bin"}),
        ({"type": "grub", "firmware": "both"}, {"grub2-common", "grub-efi-amd64-bin", "grub-pc-bin"}),
    ],
)
def test_the_packages_are_those_of_one_boot_loader(loader: dict[str, Any], brought: set[str]) -> None:
    names = set(query(bootLoader=loader).names)
    assert {name for name in names if "boot" in name or "grub" in name} == brought


PROFILES = MANIFEST.model_copy(
    update={
        "profiles": {
            "minimal": Profile(title="little"),
            "rt": Profile(
                title="real time",
                packages=[DefaultPackage(name="chrony", unless=["ntpsec"]), DefaultPackage(name="curl")],
                kernel_package="linux-image-rt-amd64",
            ),
        },
        "default_profile": "minimal",
    }
)
"""Debian, whose default systemd-timesyncd stands back for chrony, with a profile that has that."""


@pytest.mark.parametrize(
    ("fields", "there", "gone"),
    [
        ({}, {"systemd-timesyncd", FACTS.kernel_package}, {"chrony", "curl"}),
        ({"profile": "rt"}, {"chrony", "curl", "linux-image-rt-amd64"}, {"systemd-timesyncd", FACTS.kernel_package}),
        ({"profile": "rt", "excludePackages": ["curl"], "packages": ["vim"]}, {"chrony", "vim"}, {"curl"}),
        ({"profile": "rt", "packages": ["ntpsec"]}, {"ntpsec", "curl"}, {"chrony", "systemd-timesyncd"}),
        ({"profile": "rt", "kernel": {"package": "mine"}}, {"mine"}, {"linux-image-rt-amd64"}),
    ],
)
def test_a_profile_brings_packages_that_the_spec_adds_to_and_takes_from(
    fields: dict[str, Any], there: set[str], gone: set[str]
) -> None:
    names = set(package_query(image_spec(**fields), PROFILES, FACTS).names)
    assert there <= names
    assert not gone & names


def test_a_kernel_of_the_user_s_choice_takes_the_place_of_the_distribution_s() -> None:
    chosen = query(kernel={"package": "linux-image-cloud-amd64", "version": "6.1.*"})
    assert chosen.versions == (("linux-image-cloud-amd64", "6.1.*"),)
    assert "linux-image-cloud-amd64" in chosen.names
    assert FACTS.kernel_package not in chosen.names
    assert query(kernel={"version": "6.*"}).versions == ((FACTS.kernel_package, "6.*"),)
    assert query().versions == ()


def test_exclusions_and_recommendations_are_passed_on() -> None:
    asked = query(excludePackages=["nano"], installRecommends=True)
    assert (asked.exclude, asked.install_recommends) == (("nano",), True)


def digest(**fields: Any) -> str:
    spec = image_spec(**fields)
    return request_digest(spec, MANIFEST, package_query(spec, MANIFEST, FACTS))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "other"},
        {"version": "2"},
        {"hostname": "edge"},
        {"users": [{"name": "me"}]},
        {"mirrors": {"debian": "https://example.org"}},
        {"outputs": [{"format": "raw", "compression": "zstd"}]},
        {"kernel": {"commandLine": ["quiet"]}},
        {"disk": {"size": "8GiB"}},
        {"packages": [MANIFEST.base_packages[0]]},
    ],
)
def test_a_lock_fits_a_document_that_asks_for_the_same_packages(fields: dict[str, Any]) -> None:
    assert digest(**fields) == digest()


@pytest.mark.parametrize(
    "fields",
    [
        {"packages": ["curl"]},
        {"packages": [f"{MANIFEST.base_packages[0]}=1"]},
        {"excludePackages": ["curl"]},
        {"installRecommends": True},
        {"kernel": {"version": "6.*"}},
        {"kernel": {"package": "linux-image-cloud-amd64"}},
        {"users": [{"name": "me", "sudo": "passwordless"}]},
        {"repositories": [REPOSITORY]},
        {"repositories": [{**REPOSITORY, "priority": 501}]},
        {"repositories": [{**REPOSITORY, "packages": ["a*"]}]},
        {"target": {"distribution": "debian", "release": "13"}},
    ],
)
def test_a_lock_does_not_fit_a_document_that_asks_for_others(fields: dict[str, Any]) -> None:
    assert digest(**fields) not in (digest(), digest(repositories=[{**REPOSITORY, "priority": 7}]))


def test_the_order_of_packages_makes_no_difference() -> None:
    assert digest(packages=["curl", "vim"]) == digest(packages=["vim", "curl"])


HOST = {"ID": "debian"}
HOST_SOURCES = {"/etc/apt/sources.list": "deb http://host.example/debian bookworm main\n"}


@pytest.mark.parametrize(
    ("settings", "mirrors", "expected"),
    [
        ({}, {}, {"debian": "http://host.example/debian"}),
        ({"host_sources": False}, {}, {}),
        ({"mirrors": {"debian": "http://set.example"}}, {}, {"debian": "http://set.example"}),
        (
            {"mirrors": {"debian": "http://set.example"}},
            {"debian": "http://spec.example"},
            {"debian": "http://spec.example"},
        ),
        (
            {"mirrors": {"other": "http://set.example"}},
            {"debian-security": "http://spec.example"},
            {
                "debian": "http://host.example/debian",
                "debian-security": "http://spec.example",
                "other": "http://set.example",
            },
        ),
    ],
)
def test_the_spec_s_mirrors_come_before_the_settings_and_those_before_the_host_s(
    settings: dict[str, Any], mirrors: dict[str, str], expected: dict[str, str]
) -> None:
    chosen = Settings(cache_dir=Path("/nowhere"), **settings)
    assert mirror_urls(chosen, DEBIAN, image_spec(mirrors=mirrors), HOST, HOST_SOURCES) == expected


def sources(
    mirrors: dict[str, str] | None = None, keys: dict[str, bytes] | None = None, **fields: Any
) -> dict[str, RepositorySource]:
    found = repository_sources(image_spec(**fields), DEBIAN, MANIFEST, FACTS, mirrors=mirrors or {}, keys=keys or {})
    return {source.id: source for source in found}


def test_the_distribution_s_repositories_are_trusted_by_its_keys_only() -> None:
    found = sources({"debian": "http://m.example/debian/"})
    assert [*found] == [repository.id for repository in MANIFEST.repositories]
    assert found["debian-12"].url == "http://m.example/debian"
    assert found["debian-12-security"].url == MANIFEST.repositories[2].url
    assert found["debian-12"].keys == tuple(DEBIAN.key(name) for name in MANIFEST.repositories[0].keys)
    assert {source.architecture for source in found.values()} == {"amd64"}


def test_keys_that_the_machine_s_owner_names_stand_instead_of_the_distribution_s() -> None:
    found = sources(keys={"debian-security": b"mine"})
    assert found["debian-12-security"].keys == (b"mine",)
    assert found["debian-12"].keys == tuple(DEBIAN.key(name) for name in MANIFEST.repositories[0].keys)


def test_a_repository_that_nobody_knows_a_key_of_is_not_used() -> None:
    unknown = MANIFEST.model_copy(update={"repositories": [MANIFEST.repositories[2].model_copy(update={"keys": []})]})
    with pytest.raises(RepositoryError, match="debian-12-security: no key is known") as raised:
        repository_sources(image_spec(), DEBIAN, unknown, FACTS, mirrors={}, keys={})
    assert "IMAGE_COMPOSER_KEYS_DEBIAN_SECURITY" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("fields", "components"),
    [
        ({}, ("main",)),
        ({"components": ["main", "extra"]}, ("main", "extra")),
        ({"suite": "flat/"}, ()),
        ({"suite": "./"}, ()),
    ],
)
def test_further_repositories_have_the_key_and_the_rank_that_the_user_gave(
    fields: dict[str, Any], components: tuple[str, ...]
) -> None:
    given = {**REPOSITORY, "priority": 600, "packages": ["gateway-*"], **fields}
    mine = sources({"debian": "http://m.example"}, repositories=[given])["mine"]
    assert isinstance(mine, DebSource)
    assert (mine.url, mine.components, mine.priority) == ("https://example.org/deb", components, 600)
    assert (mine.keys, mine.packages, mine.suite) == ((b"k",), ("gateway-*",), given["suite"])


def lock(url: str, package_url: str) -> Lock:
    return Lock(
        target=Target(distribution="debian", release="12"),
        request_digest="0" * 64,
        repositories=[
            LockedRepository(
                id="main",
                url=url,
                suite="a",
                components=["main"],
                release_digest="1" * 64,
                release_time=0,
                signed_by=[],
            )
        ],
        packages=[
            LockedPackage(
                name="curl",
                version="8",
                architecture="amd64",
                url=package_url,
                sha256="2" * 64,
                size=1,
                installed_size=1,
                repository="main",
                source="curl",
                source_version="8",
            )
        ],
    )


@pytest.mark.parametrize(
    ("given", "mirrors", "expected"),
    [
        ("https://old.example/debian/pool/c.deb", {"main": "http://new.example"}, "http://new.example/pool/c.deb"),
        ("https://old.example/debian/pool/c.deb", {}, "https://old.example/debian/pool/c.deb"),
        ("https://old.example/debian/pool/c.deb", {"other": "http://x.example"}, "https://old.example/debian/pool/c.deb"),
        ("https://cdn.example/c.deb", {"main": "http://new.example"}, "https://cdn.example/c.deb"),
        ("https://old.example/debian-more/c.deb", {"main": "http://new.example"}, "https://old.example/debian-more/c.deb"),
    ],
)  # fmt: skip
def test_a_lock_s_packages_are_looked_for_at_today_s_mirrors(
    given: str, mirrors: dict[str, str], expected: str
) -> None:
    old = lock("https://old.example/debian", given)
    moved = with_mirrors(old, mirrors)
    assert moved.packages[0].url == expected
    assert moved.content_digest() == old.content_digest()
    assert moved.repositories[0].url == mirrors.get("main", "https://old.example/debian")
