"""Providers made of files: releases are the manifests that are there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from image_composer.provider import Provider
from image_composer_providers.debian.provider import PROVIDER as DEBIAN
from image_composer_providers.files import FilesProvider
from support.specs import image_spec


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A package of a name that no other test uses, and its folder."""
    name = f"provider_of_{request.node.name.split('[')[0]}"
    folder = tmp_path / name
    (folder / "keys").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return name, folder


def test_releases_are_in_the_order_of_their_numbers(package: tuple[str, Path]) -> None:
    name, folder = package
    for release in ("10", "9", "9.10", "9.2", "rolling"):
        (folder / f"manifest-{release}.yaml").touch()
    (folder / "notes.yaml").touch()
    assert FilesProvider("mylinux", name).releases() == ("9", "9.2", "9.10", "10", "rolling")


def test_keys_are_given_byte_for_byte(package: tuple[str, Path]) -> None:
    name, folder = package
    (folder / "keys" / "archive.gpg").write_bytes(b"\x99\x01\r\n\x00")
    assert FilesProvider("mylinux", name).key("archive.gpg") == b"\x99\x01\r\n\x00"


def test_it_is_a_provider_without_rules_and_mirrors_of_its_own(package: tuple[str, Path]) -> None:
    provider = FilesProvider("mylinux", package[0])
    assert isinstance(provider, Provider)
    assert provider.host_source_files() == ()
    assert provider.host_mirrors({"ID": "mylinux"}, {}) == {}
    assert provider.problems(image_spec(), DEBIAN.manifest("12")) == ()


def test_a_manifest_is_read_once() -> None:
    assert DEBIAN.manifest("12") is DEBIAN.manifest("12")
