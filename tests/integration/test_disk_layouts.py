"""A disk with more than a root: laid out as asked, and the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from image_composer.digest import file_sha256
from image_composer.inspect.ext4 import Ext4
from image_composer.inspect.image import inspect_image
from image_composer.inspect.model import ImageReport
from image_composer.inspect.raw import open_raw
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
    {"label": "fast-data", "type": "srv", "filesystem": "xfs", "mountPoint": "/srv/fast"},
    {
        "label": "closed",
        "type": "linux",
        "filesystem": "ext4",
        "mountPoint": "/srv/closed",
        "encrypt": "key-file",
        "size": "64MiB",
    },
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
    made_later = {"fast-data": 300 * MIB, "closed": 64 * MIB}
    rest = 2 * GIB - 2 * MIB - 64 * MIB - 102 * MIB - GIB - sum(made_later.values())
    assert sizes == {"ESP": 64 * MIB, "swap": 102 * MIB, "root": GIB, **made_later, "home": rest}


def test_swap_is_what_the_machine_takes_for_it_and_is_told_to_use(report: ImageReport, workspace: Path) -> None:
    swap = report.partitions[1]
    assert (swap.role, swap.filesystem) == ("swap", "swap")
    about = say("blkid", "-p", "-o", "export", "-O", str(swap.start), "-S", str(swap.size), workspace / "disk.raw")
    found = dict(line.split("=", 1) for line in about.splitlines())
    assert f"UUID={found['UUID']} none swap pri=5 0 0" in report.fstab


def test_every_file_system_was_found_clean(workspace: Path) -> None:
    checks = json.loads((workspace / "verify.json").read_bytes())["checks"]
    [clean] = [check["message"] for check in checks if check["name"] == "file-systems"]
    assert all(f"{label} (" in clean for label in ("ESP", "swap", "root", "home"))


def test_what_the_machine_makes_is_marked_and_told_of_in_the_image(report: ImageReport, workspace: Path) -> None:
    xfs, closed = report.partitions[3:5]
    assert (xfs.filesystem, closed.filesystem) == ("unmade", "unmade")
    mounts = {line.split()[1]: line for line in report.fstab}
    assert mounts["/srv/fast"].endswith("/srv/fast xfs defaults,x-systemd.requires=make-fast-data.service 0 0")
    assert mounts["/srv/closed"] == (
        "/dev/mapper/luks-closed /srv/closed ext4 "
        "defaults,nofail,x-systemd.before=local-fs.target,"
        "x-systemd.device-timeout=infinity,x-systemd.requires=make-closed.service 0 2"
    )
    with open_raw(workspace / "disk.raw", Runner()) as image:
        root = Ext4(image, report.partitions[2].start)
        assert (root.read("/etc/crypttab") or b"").decode() == (
            f"luks-closed PARTUUID={closed.uuid} /var/lib/image-composer/keys/closed.key luks,headless=1,nofail\n"
        )


def test_no_key_is_in_the_image(workspace: Path) -> None:
    assert not list((workspace / "root").glob("var/lib/image-composer/keys/*"))


def test_files_at_a_place_that_the_machine_makes_are_refused(bootable: Composer, tmp_path: Path) -> None:
    full = {"label": "p", "type": "linux", "filesystem": "xfs", "mountPoint": "/usr/share"}
    file = write_document(
        tmp_path, document(disk={"partitions": [*PARTITIONS[:1], PARTITIONS[2] | {"size": None}, full]})
    )
    outcome = bootable.run("build", "-f", file, "-o", tmp_path / "out")
    assert outcome.code == "ASSEMBLE_NOT_EMPTY"
    assert "/usr/share" in outcome.error


def test_the_same_root_gives_the_same_disk(bootable: Composer, workspace: Path) -> None:
    before = file_sha256(workspace / "disk.raw")
    assert bootable.run("stage", "image", "--workspace", workspace).status == 0
    assert file_sha256(workspace / "disk.raw") == before
