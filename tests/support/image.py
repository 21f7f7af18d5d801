"""Composes images as users do: through the command line, from a document that uses every field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from image_composer.evidence.result import RESULT_FILE, BuildResult
from image_composer.inspect.files import Files
from image_composer.inspect.model import ImageReport, PartitionFound
from image_composer.inspect.raw import open_raw
from image_composer.inspect.readers import files_of
from image_composer.repository.lock import Lock
from image_composer.run import Runner
from image_composer.spec.image import ImageSpec
from support.composer import Composer, write_document
from support.disks import say

RELEASES = ("12", "13")

HOSTNAME = "gate.example.org"
ARGUMENT = "composer.test=yes"
"""The document's own argument for the kernel."""

VIRTUAL = "linux-image-cloud-amd64"
"""Debian's kernel for virtual machines: it has few drivers, and starts in two thirds of the time without KVM."""

PINNED = "curl"
"""The package whose version the document names."""

EXCLUDED, INSTEAD = "mawk", "gawk"
"""What Debian takes for awk by itself, and what the document wants."""

CANARY = "canary-7f0c1f5e9a"
"""A value of the build's environment that no file may show."""

PARTITIONS: list[dict[str, Any]] = [
    {
        "label": "ESP",
        "type": "esp",
        "filesystem": "vfat",
        "size": "128MiB",
        "mountPoint": "/boot/efi",
        "mountOptions": "umask=0077",
    },
    {
        "label": "var",
        "type": "var",
        "filesystem": "ext4",
        "size": "256MiB",
        "mountPoint": "/var",
        "mountOptions": "nodev,nosuid",
    },
    {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "grow": True},
]
"""A layout other than Debian's default."""


@dataclass(frozen=True)
class Credentials:
    """What lets people into the images of one session."""

    key: Path
    """Private key of alice; the public one has `.pub` added."""

    password: str
    """bob's."""

    @cached_property
    def password_hash(self) -> str:
        return say("openssl", "passwd", "-6", self.password).strip()

    @property
    def public_key(self) -> str:
        return self.key.with_suffix(".pub").read_text().strip()


def make_credentials(folder: Path, password: str) -> Credentials:
    key = folder / "key"
    say("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alice@example.org", "-f", key)
    return Credentials(key, password)


def document(release: str, credentials: Credentials, version: str | None = None) -> dict[str, Any]:
    """Give a spec of a release.

    Args:
        release: of Debian.
        credentials: of its users.
        version: of the pinned package.
    """
    return {
        "name": f"gate-{release}",
        "version": "1.2.3",
        "target": {"distribution": "debian", "release": release, "architecture": "x86_64"},
        "packages": ["openssh-server", INSTEAD, f"{PINNED}={version}" if version else PINNED],
        "excludePackages": [EXCLUDED],
        "installRecommends": False,
        "kernel": {"version": "6.*", "commandLine": [ARGUMENT]},
        "hostname": HOSTNAME,
        "users": [
            {
                "name": "alice",
                "sshAuthorizedKeys": [credentials.public_key],
                "groups": ["systemd-journal", "adm", "operators"],
                "sudo": "passwordless",
            },
            {
                "name": "bob",
                "passwordHash": credentials.password_hash,
                "shell": "/bin/sh",
                "home": "/srv/bob",
                "uid": 1500,
                "sudo": "password",
            },
            {"name": "carol"},
        ],
        **({"disk": {"partitions": PARTITIONS}} if release == "12" else {}),
        "outputs": [
            {"format": "raw"},
            {"format": "raw", "compression": "zstd"},
            *([{"format": "iso"}] if release == "12" else []),
        ],
        **({"installer": {"target": {"rule": "smallest"}}} if release == "12" else {}),
    }


def immutable_document(root: str | None, credentials: Credentials) -> dict[str, Any]:
    """Give a spec of an immutable image with few outputs.

    Args:
        root: file system of the root on a disk laid out by the spec; None for the distribution's layout.
        credentials: of its users.
    """
    partitions = [
        {"label": "ESP", "type": "esp", "filesystem": "vfat", "mountPoint": "/boot/efi"},
        {"label": "root", "type": "root", "filesystem": root, "mountPoint": "/"},
    ]
    return {
        **document("13", credentials),  # without partitions of its own
        "mutability": "immutable",
        **({"disk": {"partitions": partitions}} if root else {}),
        "outputs": [{"format": "raw"}],
    }


@dataclass(frozen=True)
class Image:
    """An image that was composed and published."""

    composer: Composer
    file: Path
    """The document."""

    folder: Path
    """What was published."""

    said: str
    """What the composer reported."""

    @cached_property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_bytes())
        return found

    @cached_property
    def spec(self) -> ImageSpec:
        return ImageSpec.model_validate(self.document)

    @cached_property
    def result(self) -> BuildResult:
        return BuildResult.model_validate_json((self.folder / RESULT_FILE).read_bytes())

    @cached_property
    def lock(self) -> Lock:
        return Lock.model_validate_json(self.path("lock.json").read_bytes())

    @cached_property
    def sbom(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path("spdx.json").read_bytes())
        return found

    @property
    def raw(self) -> Path:
        return self.path("raw")

    def path(self, extension: str) -> Path:
        return self.folder / f"{self.spec.name}-{self.spec.version}-x86_64.{extension}"

    @cached_property
    def packages(self) -> dict[str, str]:
        """Give the versions of the lock's packages by name."""
        return {package.name: package.version for package in self.lock.packages}

    @cached_property
    def report(self) -> ImageReport:
        """Give what `image-composer inspect` tells about it."""
        outcome = self.composer.run("inspect", "--json", self.raw)
        assert outcome.status == 0, outcome.said
        return ImageReport.model_validate_json(outcome.printed)

    def partition(self, label: str) -> PartitionFound:
        return next(partition for partition in self.report.partitions if partition.label == label)

    @contextmanager
    def root(self) -> Iterator[Root]:
        """Give its files, with those of /var wherever they are."""
        with open_raw(self.raw, Runner()) as raw:
            places = {partition.label: files_of(raw, partition) for partition in self.report.partitions}
            top = places[next(partition.label for partition in self.report.partitions if partition.role == "root")]
            assert top is not None
            yield Root(top, places.get("var"))

    def uki(self, folder: Path) -> Path:
        """Copy its unified kernel image off the EFI system partition."""
        [found] = self.report.ukis
        copy = folder / "uki.efi"
        say("mcopy", "-n", "-i", f"{self.raw}@@{self.partition('ESP').start}", f"::{found.path}", copy)
        return copy


@dataclass(frozen=True)
class Root:
    """The files of an image, read without mounting it."""

    top: Files
    var: Files | None

    def text(self, path: str) -> str:
        place, inside = self._place(path)
        content = place.read(inside)
        assert content is not None, f"{path} is missing"
        return content.decode()

    def exists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return name in self.names(folder or "/")

    def names(self, path: str) -> list[str]:
        place, inside = self._place(path)
        return place.names(inside)

    def _place(self, path: str) -> tuple[Files, str]:
        if self.var is not None and path.startswith("/var/"):
            return self.var, path.removeprefix("/var")
        return self.top, path


def compose(composer: Composer, release: str, credentials: Credentials, folder: Path) -> Image:
    """Compose the image of a release, with the newest version of the pinned package."""
    loose = write_document(folder, document(release, credentials), "loose.json")
    outcome = composer.run("lock", "-f", loose)
    assert outcome.status == 0, outcome.said
    newest = {package.name: package.version for package in Lock.model_validate_json(outcome.printed).packages}
    file = write_document(folder, document(release, credentials, newest[PINNED]))
    return build(composer, file, folder / "published")


def build(composer: Composer, file: Path, output: Path, *options: str | Path) -> Image:
    outcome = composer.run("build", "-f", file, "-o", output, *options)
    assert outcome.status == 0, outcome.said
    return Image(composer, file, output, outcome.said)
