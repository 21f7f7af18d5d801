"""Distributions made for a test: a handful of facts, written where the composer finds them as an installed provider."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_composer.spec.image import Signed
from image_composer_providers.debian.provider import PROVIDER as DEBIAN
from support.debs import Deb
from support.openpgp import Key
from support.pe import make_program, make_stub
from support.testing_provider import FOLDER_VARIABLE

TESTS = Path(__file__).parents[1]

KERNEL = "1.0-tiny"
"""Version of the kernel that `BOOT` brings."""

DRACUT = """#!/bin/sh
for last; do :; done
echo initramfs > "$last"
"""

BOOT = Deb(
    "tiny-boot",
    files={
        f"boot/vmlinuz-{KERNEL}": b"kernel" * 1000,
        "usr/lib/systemd/boot/efi/linuxx64.efi.stub": make_stub(),
        "usr/lib/systemd/boot/efi/systemd-bootx64.efi": make_program(),
        "usr/bin/dracut": DRACUT,
        "boot/efi/.keep": "",
    },
    executable=frozenset({"usr/bin/dracut"}),
)
"""Everything that starts a machine, but for its ability to do so: real kernels take most of a build's time."""


@dataclass(frozen=True)
class OwnRepository:
    """A repository of the distribution itself, at its public address."""

    url: str
    key: Key
    suite: str = "bookworm"

    def certificates(self) -> Mapping[str, bytes]:
        return {"own.asc": self.key.public}

    def facts(self) -> dict[str, Any]:
        return {
            "id": "testing-main",
            "archive": "testing",
            "url": self.url,
            "suite": self.suite,
            "components": ["main"],
            "keys": ["own.asc"],
        }


@dataclass(frozen=True)
class OwnRpmRepository:
    """A repository of rpm packages; with one, the distribution is of that family."""

    url: str
    keys: Sequence[Key]
    """Any of these may sign it."""

    signed: Signed = Signed.METADATA_AND_PACKAGES
    path: str = "{architecture}"

    def certificates(self) -> Mapping[str, bytes]:
        return {f"own-{number}.asc": key.public for number, key in enumerate(self.keys)}

    def facts(self) -> dict[str, Any]:
        return {
            "id": "testing-main",
            "archive": "testing",
            "url": self.url,
            "path": self.path,
            "signed": self.signed,
            "keys": sorted(self.certificates()),
        }


def write_distribution(
    folder: Path,
    *own: OwnRepository | OwnRpmRepository,
    base_packages: Sequence[str] = ("tiny-boot",),
    on_debian: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Write a distribution and give the environment in which the composer knows it.

    Args:
        folder: where its files are put.
        own: its repositories, all of one family; those of debs are signed with the key of the last.
        base_packages: what every image has, beside the essential packages.
        on_debian: whether Debian 12's repositories belong to it too, and what makes its essential packages complete.
        facts: facts of the manifest instead of the usual ones.
    """
    keys = folder / "keys"
    keys.mkdir(parents=True)
    for repository in own:
        for name, certificate in repository.certificates().items():
            (keys / name).write_bytes(certificate)
    rpm = any(isinstance(repository, OwnRpmRepository) for repository in own)
    repositories = [repository.facts() for repository in own]
    if on_debian:
        base_packages = [*base_packages, "usr-is-merged"]
        debian = DEBIAN.manifest("12").repositories
        repositories += [repository.model_dump(mode="json", by_alias=True) for repository in debian]
        for name in {name for repository in debian for name in repository.keys}:
            (keys / name).write_bytes(DEBIAN.key(name))
    manifest = {
        "distribution": "testing",
        "release": "1",
        "codename": "tiny",
        "title": "Testing 1 (tiny)",
        "family": "rpm" if rpm else "deb",
        "repositories": repositories,
        "architectures": {
            "x86_64": {"packageArchitecture": "x86_64" if rpm else "amd64", "kernelPackage": "tiny-boot"}
        },
        "bootFiles": {
            "x86_64": {
                "kernel": "/boot/vmlinuz-{kernel}",
                "stub": "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
                "loader": "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
            }
        },
        "basePackages": list(base_packages),
        "initramfs": {"generator": "dracut", "packages": []},
        "filesystems": ["ext4", "vfat", "xfs", "btrfs", "swap"],
        "featurePackages": {"xfs": [], "btrfs": [], "encryption": []},
        "partitions": [
            {"label": "ESP", "type": "esp", "filesystem": "vfat", "mountPoint": "/boot/efi"},
            {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "grow": True},
        ],
        **(facts or {}),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    installed = folder / "testing_provider-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: testing-provider\nVersion: 1.0\n")
    entry = "[image_composer.providers]\ntesting = support.testing_provider:PROVIDER\n"
    (installed / "entry_points.txt").write_text(entry)
    return {"PYTHONPATH": f"{folder}:{TESTS}", FOLDER_VARIABLE: str(folder)}


def document(**changes: Any) -> dict[str, Any]:
    """Give an ImageBuild of the distribution, with fields of the image as in JSON."""
    image = {"name": "edge", "version": "1.0", "target": {"distribution": "testing", "release": "1"}, **changes}
    return {
        "apiVersion": "imagecomposer.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": "edge"},
        "spec": {"image": image},
    }


def with_repository(url: str, key: Key, *packages: str, **changes: Any) -> dict[str, Any]:
    """Give an ImageBuild that takes packages from a repository of the user's."""
    repository = {"id": "extra", "url": url, "suite": "bookworm", "key": key.public.decode()}
    return document(packages=list(packages), repositories=[repository], **changes)
