"""The Debian provider: its facts hold together, and it finds the mirrors that a Debian host uses."""

from __future__ import annotations

import re

import pytest

from image_composer.manifest import Manifest
from image_composer.provider import Provider, load_providers
from image_composer_providers.debian.provider import PROVIDER

HOST = {"ID": "debian", "VERSION_ID": "12"}
RELEASES = PROVIDER.releases()


@pytest.fixture(params=RELEASES)
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return PROVIDER.manifest(request.param)


def test_the_provider_is_found_by_its_entry_point() -> None:
    assert load_providers()["debian"] is PROVIDER
    assert isinstance(PROVIDER, Provider)
    assert PROVIDER.distribution == "debian"


def test_the_image_updates_itself_from_the_archives_it_was_made_from(manifest: Manifest) -> None:
    sources = next(file for file in manifest.files if file.path.endswith(".sources")).content
    for repository in manifest.repositories:
        assert repository.url in sources
        assert re.search(rf"^Suites:.*\b{repository.suite}$|^Suites: {repository.suite}\b", sources, re.MULTILINE)


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
