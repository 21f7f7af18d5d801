"""The Debian provider: its facts hold together, and it finds the mirrors that a Debian host uses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from image_composer.provider import Manifest, Provider, load_providers
from image_composer.spec.image import Architecture
from image_composer.spec.rules import spec_problems, target_problems
from image_composer_providers.debian import provider as module
from image_composer_providers.debian.provider import PROVIDER
from support.specs import image_spec

HOST = {"ID": "debian", "VERSION_ID": "12"}
RELEASES = PROVIDER.releases()


@pytest.fixture(params=RELEASES)
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return PROVIDER.manifest(request.param)


def test_the_provider_is_found_by_its_entry_point() -> None:
    assert load_providers()["debian"] is PROVIDER
    assert isinstance(PROVIDER, Provider)
    assert PROVIDER.distribution == "debian"


def test_each_release_has_the_manifest_that_names_it(manifest: Manifest) -> None:
    assert manifest.distribution == "debian"
    assert manifest.release in RELEASES
    assert manifest.codename in manifest.title
    assert {(repository.suite or "").split("-")[0] for repository in manifest.repositories} == {manifest.codename}


def test_what_the_manifest_keeps_by_architecture_is_complete(manifest: Manifest) -> None:
    assert set(manifest.architectures) == set(manifest.boot_files) == {Architecture.X86_64}
    for places in manifest.boot_files.values():
        assert "{kernel}" in places.kernel
        assert all(path.startswith("/") for path in (places.kernel, places.stub, places.loader))


def test_names_in_a_manifest_are_there_once(manifest: Manifest) -> None:
    profiles = [package.name for profile in manifest.profiles.values() for package in profile.packages]
    for names in (
        [repository.id for repository in manifest.repositories],
        [*manifest.base_packages, *(default.name for default in manifest.default_packages), *profiles],
        [file.path for file in manifest.files],
        [unit.name for unit in manifest.units],
    ):
        assert len(names) == len(set(names))


def test_the_minimal_profile_is_the_default_and_adds_nothing(manifest: Manifest) -> None:
    assert manifest.default_profile == "minimal"
    assert manifest.profiles["minimal"].packages == []
    assert "openssh-server" in {package.name for package in manifest.profiles["edge"].packages}


def test_the_default_layout_obeys_the_rules_for_layouts(manifest: Manifest) -> None:
    spec = image_spec(
        target={"distribution": "debian", "release": manifest.release},
        disk={"partitions": [partition.model_dump(mode="json") for partition in manifest.partitions]},
    )
    assert spec_problems(spec, "", frozenset()) == []
    assert target_problems(spec, manifest, "") == []
    assert PROVIDER.problems(spec, manifest) == ()


def test_units_of_our_own_are_written_before_they_are_enabled(manifest: Manifest) -> None:
    written = {Path(file.path).name: file.requires for file in manifest.files if "/systemd/system/" in file.path}
    enabled = {unit.name: unit.requires for unit in manifest.units}
    assert written.items() <= enabled.items()


def test_the_image_updates_itself_from_the_archives_it_was_made_from(manifest: Manifest) -> None:
    sources = next(file for file in manifest.files if file.path.endswith(".sources")).content
    for repository in manifest.repositories:
        assert repository.url in sources
        assert re.search(rf"^Suites:.*\b{repository.suite}$|^Suites: {repository.suite}\b", sources, re.MULTILINE)


def test_every_key_can_be_read_and_can_sign(manifest: Manifest, tmp_path: Path) -> None:
    for name in sorted({key for repository in manifest.repositories for key in repository.keys}):
        shown = subprocess.run(
            ["gpg", "--homedir", tmp_path, "--batch", "--no-tty", "--with-colons", "--show-keys"],
            input=PROVIDER.key(name),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout.decode()
        keys = [line.split(":") for line in shown.splitlines() if line.startswith(("pub:", "sub:"))]
        assert any("s" in fields[11] for fields in keys), name
        assert not [line for line in shown.splitlines() if line.startswith("sec:")], name


def test_every_key_file_is_used() -> None:
    used = {key for release in RELEASES for fact in PROVIDER.manifest(release).repositories for key in fact.keys}
    assert {path.name for path in (Path(module.__file__).parent / "keys").iterdir()} == used


@pytest.mark.parametrize(
    ("os_release", "sources", "expected"),
    [
        (
            HOST,
            {"/etc/apt/sources.list": "deb http://m.example/debian/ bookworm main\n"},
            {"debian": "http://m.example/debian"},
        ),
        (
            HOST,
            {
                "/etc/apt/sources.list": "deb https://m.example/debian bookworm main\n",
                "/etc/apt/sources.list.d/security.sources": "Types: deb\nURIs: https://s.example/sec\n"
                "Suites: trixie-security\nComponents: main\n",
            },
            {"debian": "https://m.example/debian", "debian-security": "https://s.example/sec"},
        ),
        (HOST, {"a.list": "deb http://m.example/debian stable main\n"}, {"debian": "http://m.example/debian"}),
        (
            HOST,
            {"b.list": "deb http://b.example trixie main\n", "a.list": "deb http://a.example bookworm-updates main\n"},
            {"debian": "http://a.example"},
        ),
        (HOST, {"a.list": "deb file:///srv/debian bookworm main\n"}, {"debian": "file:///srv/debian"}),
        (HOST, {"a.list": "deb file:/srv/debian bookworm main\n"}, {"debian": "file:///srv/debian"}),
        (HOST, {"a.list": "deb https://vendor.example/apt bookworm-vendor main\n"}, {}),
        (HOST, {"a.list": "deb http://ppa.example jammy main\n"}, {}),
        (HOST, {"a.list": "deb cdrom:[Debian_12]/ bookworm main\n"}, {}),
        (HOST, {"a.list": "deb mirror+file:/etc/apt/mirrors.txt bookworm main\n"}, {}),
        (HOST, {"a.list": "deb-src http://m.example/debian bookworm main\n"}, {}),
        (HOST, {}, {}),
        ({"ID": "ubuntu"}, {"a.list": "deb http://m.example/debian bookworm main\n"}, {}),
        ({"ID": "raspbian", "ID_LIKE": "debian"}, {"a.list": "deb http://m.example/debian bookworm main\n"}, {}),
        ({}, {"a.list": "deb http://m.example/debian bookworm main\n"}, {}),
    ],
)
def test_mirrors_are_those_of_a_debian_host_for_suites_of_debian(
    os_release: dict[str, str], sources: dict[str, str], expected: dict[str, str]
) -> None:
    assert PROVIDER.host_mirrors(os_release, sources) == expected
