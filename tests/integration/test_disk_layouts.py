"""A disk with more than a root: laid out as asked, and the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from image_composer.digest import file_sha256
from image_composer.inspect.image import inspect_image
from image_composer.inspect.model import ImageReport
from image_composer.run import Runner
from support.composer import Composer, write_document
from support.disks import say
from support.distribution import document

pytestmark = [pytest.mark.network, pytest.mark.build]

GIB = 1 << 30
MIB = 1 << 20

PARTITIONS: list[dict[str, Any]] = [
    {"label": "ESP", "type": "esp", "filesystem": "vfat", "size": "64MiB", "mountPoint": "/boot/efi"},
    {"label": "swap", "type": "swap", "filesystem": "swap", "size": "5%", "mountOptions": "pri=5"},
    {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "size": "50%"},
    {"label": "home", "type": "home", "filesystem": "ext4", "mountPoint": "/home", "grow": True},
]


@pytest.fixture(scope="module")
def workspace(bootable: Composer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a finished and verified disk."""
    folder = tmp_path_factory.mktemp("layouts")
    file = write_document(folder, document(disk={"size": "2GiB", "partitions": PARTITIONS}))
    for name in ("validate", "resolve", "fetch", "assemble", "image", "attest", "verify"):
        words = ["--file", str(file)] if name == "validate" else []
        outcome = bootable.run("stage", name, "--workspace", folder / "workspace", *words)
        assert outcome.status == 0, outcome.error
    return folder / "workspace"


@pytest.fixture(scope="module")
def report(workspace: Path) -> ImageReport:
    return inspect_image(workspace / "disk.raw", Runner())


def test_shares_are_of_the_disk_and_the_last_partition_has_the_rest(report: ImageReport) -> None:
    assert report.size == 2 * GIB
    sizes = {found.label: found.size for found in report.partitions}
    rest = 2 * GIB - 2 * MIB - 64 * MIB - 102 * MIB - GIB
    assert sizes == {"ESP": 64 * MIB, "swap": 102 * MIB, "root": GIB, "home": rest}


def test_swap_is_what_the_machine_takes_for_it_and_is_told_to_use(report: ImageReport, workspace: Path) -> None:
    swap = report.partitions[1]
    assert (swap.role, swap.filesystem) == ("swap", "swap")
    about = say("blkid", "-p", "-o", "export", "-O", str(swap.start), "-S", str(swap.size), workspace / "disk.raw")
    found = dict(line.split("=", 1) for line in about.splitlines())
    assert f"UUID={found['UUID']} none swap pri=5 0 0" in report.fstab


def test_every_file_system_was_found_clean(workspace: Path) -> None:
    checks = json.loads((workspace / "verify.json").read_bytes())["checks"]
    [clean] = [check["message"] for check in checks if check["name"] == "file-systems"]
    assert all(f"{partition['label']} (" in clean for partition in PARTITIONS)


def test_the_same_root_gives_the_same_disk(bootable: Composer, workspace: Path) -> None:
    before = file_sha256(workspace / "disk.raw")
    assert bootable.run("stage", "image", "--workspace", workspace).status == 0
    assert file_sha256(workspace / "disk.raw") == before
