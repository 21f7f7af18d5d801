"""An immutable Debian: its root is checked, what has to be written can be, and a changed byte stops it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.inspect.ext4 import Ext4
from image_composer.inspect.raw import open_raw
from image_composer.run import Runner
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Hardware, choose_accelerator, find_firmware
from support.composer import Composer, write_document
from support.disks import say
from support.guest import BOOT_SECONDS, FirstBoot, first_boot
from support.image import Credentials, Image, build, document
from support.marks import on_the_machine

pytestmark = [pytest.mark.build, pytest.mark.network]

BLOCK = 4096
STARTED_FIRST = "/usr/lib/systemd/systemd"
"""The first program of the root that runs."""


@pytest.fixture(scope="module")
def image(composer: Composer, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image-immutable")
    asked = {
        **document("13", credentials),  # without partitions of its own
        "name": "gate-immutable",
        "target": {"distribution": "debian", "release": "12", "architecture": "x86_64"},
        "mutability": "immutable",
        "outputs": [{"format": "raw"}],
    }
    yield build(composer, write_document(folder, asked), folder / "published")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def booted(image: Image, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstBoot]:
    seen = first_boot(image, credentials, tmp_path_factory.mktemp("machine-immutable"))
    yield seen
    seen.disk.unlink()


def mounts(booted: FirstBoot) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = booted.facts["mounts"].document["filesystems"]
    return {entry["target"]: entry for entry in found}


def test_the_disk_has_the_root_its_hashes_and_a_place_to_write_to(image: Image) -> None:
    roles = [(partition.label, partition.role) for partition in image.report.partitions]
    assert roles == [("ESP", "esp"), ("root", "root"), ("root-verity", "root-verity"), ("var", "var")]


def test_the_partitions_ids_are_the_halves_of_the_root_hash_in_the_command_line(image: Image) -> None:
    found = re.search(r"\broothash=([0-9a-f]{64})\b", image.report.ukis[0].command_line or "")
    assert found is not None
    halves = [(image.partition(label).uuid or "").replace("-", "") for label in ("root", "root-verity")]
    assert "".join(halves) == found[1]


def test_the_hashes_fit_the_root(image: Image, tmp_path: Path) -> None:
    found = re.search(r"\broothash=([0-9a-f]{64})\b", image.report.ukis[0].command_line or "")
    assert found is not None
    parts = [tmp_path / "data", tmp_path / "hashes"]
    for part, label in zip(parts, ("root", "root-verity"), strict=True):
        place = image.partition(label)
        say("dd", f"if={image.raw}", f"of={part}", "bs=1M", f"skip={place.start >> 20}", f"count={place.size >> 20}")
    say("veritysetup", "verify", *parts, found[1])


@on_the_machine
def test_it_starts_and_systemd_is_content(booted: FirstBoot) -> None:
    assert (booted.facts["failed"].text, booted.facts["state"].text, booted.state) == ("", "running", "running")
    assert booted.exit_status == 0


@on_the_machine
def test_the_root_is_the_checked_one_and_can_not_be_written_to(booted: FirstBoot) -> None:
    root = mounts(booted)["/"]
    assert root["fstype"] == "ext4"
    assert "ro" in root["options"].split(",")
    assert booted.facts["root-device"].text == "/dev/mapper/root"
    assert "Read-only file system" in booted.facts["write-to-usr"].text


@on_the_machine
def test_what_the_machine_writes_lies_in_var_which_has_grown(booted: FirstBoot) -> None:
    found = mounts(booted)
    assert found["/var"]["size"] > 2 * 1024**3
    assert {found[path]["partlabel"] for path in ("/var", "/home", "/root", "/srv")} == {"var"}


@on_the_machine
def test_people_get_in_and_have_their_homes(booted: FirstBoot, credentials: Credentials) -> None:
    assert [pair for pair, let_in in booted.attempts.items() if let_in] == [("bob", credentials.password)]
    assert booted.facts["homes"].status == 0


@on_the_machine
def test_what_was_written_to_etc_is_kept_in_var(booted: FirstBoot, image: Image) -> None:
    machine = booted.facts["machine-id"].text
    assert re.fullmatch(r"[0-9a-f]{32}", machine)
    with open_raw(booted.disk, Runner()) as disk:
        kept = Ext4(disk, image.partition("var").start)
        assert kept.read("/lib/image-composer/etc/upper/machine-id") == f"{machine}\n".encode()
        assert "ssh_host_ed25519_key" in kept.names("/lib/image-composer/etc/upper/ssh")


@on_the_machine
def test_a_changed_byte_stops_the_machine(image: Image, tmp_path: Path) -> None:
    disk = tmp_path / "changed.raw"
    create_sparse(disk, image.raw.stat().st_size)
    copy_sparse(image.raw, disk)
    start = image.partition("root").start
    blocks = say("debugfs", "-R", f"blocks {STARTED_FIRST}", f"{image.raw}?offset={start}").split()
    with disk.open("r+b") as stream:
        for block in map(int, blocks):
            place = start + block * BLOCK + 2000
            stream.seek(place)
            [byte] = stream.read(1)
            stream.seek(place)
            stream.write(bytes([byte ^ 1]))
    runner = Runner()
    hardware = Hardware(choose_accelerator(runner), find_firmware(), snapshot=True)
    with Machine(runner, disk, hardware, log=tmp_path / "console.log") as machine:
        machine.wait_for("dm-verity device corrupted", BOOT_SECONDS)
        assert "login: " not in machine.console
