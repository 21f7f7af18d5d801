"""An immutable Debian with a second slot, and its next version in parts. What a machine makes of them: immutable.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from image_composer.inspect.model import ImageReport
from support.composer import Composer, write_document
from support.httpserver import HttpServer
from support.image import Credentials, Image, build
from support.openpgp import Key, Keychain

pytestmark = [pytest.mark.build, pytest.mark.network]

NAME = "gate-updated"
PLACE = "/edge/"
"""Where the newest version is served."""

HOST = "10.0.2.2"
"""The address of 127.0.0.1 as machines of QEMU's user network see it."""


def asked(version: str, url: str, key: str, credentials: Credentials, *outputs: dict[str, str]) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version,
        "target": {"distribution": "debian", "release": "13", "architecture": "x86_64"},
        "packages": ["openssh-server"],
        "users": [{"name": "alice", "sshAuthorizedKeys": [credentials.public_key], "sudo": "passwordless"}],
        "mutability": "immutable",
        "immutable": {"update": {"url": url, "key": key}},
        "outputs": list(outputs),
    }


@pytest.fixture(scope="module")
def keychain() -> Iterator[Keychain]:
    with Keychain() as keychain:
        yield keychain


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(scope="module")
def signing(keychain: Keychain) -> Key:
    return keychain.make("updates")


@pytest.fixture(scope="module")
def images(
    composer: Composer,
    credentials: Credentials,
    server: HttpServer,
    signing: Key,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Image, Image]]:
    """The version that the machine begins with, as a disk, and the next one of the same packages, as parts."""
    folder = tmp_path_factory.mktemp("image-updated")
    url, key = server.url(PLACE).replace("127.0.0.1", HOST), signing.public.decode()
    raw = asked("1.0", url, key, credentials, {"format": "raw"})
    first = build(composer, write_document(folder, raw, "first.json"), folder / "first")
    formats = ({"format": "root", "compression": "gzip"}, {"format": "root-verity"}, {"format": "uki"})
    parts = asked("1.1", url, key, credentials, *formats)
    lock = first.path("lock.json")
    second = build(composer, write_document(folder, parts, "second.json"), folder / "second", "--lock", lock)
    yield first, second
    shutil.rmtree(folder)


def labels(report: ImageReport) -> list[str]:
    return [partition.label for partition in report.partitions]


def test_a_new_machine_has_one_version_and_room_for_another(images: tuple[Image, Image]) -> None:
    report = images[0].report
    assert labels(report) == ["ESP", "root_1.0", "root-verity_1.0", "_empty", "_empty", "var"]
    sizes = [partition.size for partition in report.partitions[1:5]]
    assert sizes[:2] == sizes[2:]
    assert report.os_release["IMAGE_ID"] == NAME
    assert report.os_release["IMAGE_VERSION"] == "1.0"


def test_parts_are_published_under_the_names_that_updates_look_for(images: tuple[Image, Image]) -> None:
    _, second = images
    names = sorted(re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", artifact.file) for artifact in second.result.artifacts)
    stem = f"{NAME}_1.1_x86_64"
    assert names == [f"{stem}.efi", f"{stem}_ID.root-verity", f"{stem}_ID.root.gz"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=second.folder, check=True)
