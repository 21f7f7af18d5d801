"""An immutable Debian: its root is checked, what has to be written can be, and a changed byte stops it.

It is signed for Secure Boot, and gives its certificate to the machine that it is started on first.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.inspect.ext4 import Ext4
from image_composer.inspect.raw import open_raw
from image_composer.run import Runner
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Firmware, Hardware, choose_accelerator, find_firmware
from support.composer import Composer, write_document
from support.disks import say
from support.guest import BOOT_SECONDS, FirstBoot, first_boot, in_setup_mode
from support.image import ARGUMENT, VIRTUAL, Credentials, Image, build, document
from support.keys import KeyPair, make_keys
from support.marks import on_the_machine

pytestmark = [pytest.mark.build, pytest.mark.network]

BLOCK = 4096
REFUSED = r"Error loading \S+[.]efi: (Access Denied|Security Violation)"
"""What systemd-boot says of a program that firmware doesn't start."""

STARTED_FIRST = "/usr/lib/systemd/systemd"
"""The first program of the root that runs."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_keys(tmp_path_factory.mktemp("keys-immutable"))


@pytest.fixture(scope="module")
def image(
    composer: Composer, credentials: Credentials, keys: KeyPair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image-immutable")
    asked = {
        **document("13", credentials),  # without partitions of its own
        "name": "gate-immutable",
        "target": {"distribution": "debian", "release": "12", "architecture": "x86_64"},
        "kernel": {"package": VIRTUAL, "commandLine": [ARGUMENT]},
        "mutability": "immutable",
        "secureBoot": {"certificate": keys.pem, "enroll": "force"},
        "outputs": [{"format": "raw"}],
    }
    yield build(composer, write_document(folder, asked), folder / "published", "--secure-boot-key", keys.key)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """Firmware that takes our keys from the first image that it starts, and only starts what they have signed then."""
    return in_setup_mode(tmp_path_factory.mktemp("firmware-immutable"))


@pytest.fixture(scope="module")
def booted(
    image: Image, credentials: Credentials, firmware: Firmware, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FirstBoot]:
    seen = first_boot(image, credentials, tmp_path_factory.mktemp("machine-immutable"), firmware)
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


def test_whatever_starts_the_machine_is_signed_with_the_key(image: Image, keys: KeyPair) -> None:
    found = {program.path: program.signatures for program in image.report.programs}
    assert {path.rpartition("/")[2] for path in found} == {
        "BOOTX64.EFI",
        "systemd-bootx64.efi",
        "gate-immutable-1.2.3.efi",
    }
    for signatures in found.values():
        [signature] = signatures
        assert (signature.fingerprint, signature.holds) == (keys.read.fingerprint, True)


def test_the_certificate_is_published_and_the_key_is_in_nothing_that_came_out(image: Image, keys: KeyPair) -> None:
    published = {document.file for document in image.result.documents if document.kind == "certificate"}
    assert published == {image.path("secure-boot.pem").name, image.path("secure-boot.cer").name}
    assert image.path("secure-boot.pem").read_text() == keys.pem
    assert image.path("secure-boot.cer").read_bytes() == keys.read.der
    secrets = image.folder.with_name("secrets")
    secrets.write_text("".join(f"{line}\n" for line in keys.key.read_text().splitlines() if "-----" not in line))
    found = subprocess.run(["grep", "-rlaFf", secrets, image.folder], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (1, "")
    assert not any(line in image.said for line in secrets.read_text().splitlines())


@on_the_machine
def test_a_machine_without_keys_takes_ours_and_starts_securely(booted: FirstBoot) -> None:
    assert booted.facts["secure-boot"].text.strip() == "1"
    assert "[integrity]" in booted.facts["lockdown"].text


@on_the_machine
def test_a_changed_command_line_is_refused_by_the_firmware(
    image: Image, booted: FirstBoot, firmware: Firmware, tmp_path: Path
) -> None:
    assert booted.exit_status == 0  # the firmware has the keys since then
    disk, [uki] = tmp_path / "changed.raw", image.report.ukis
    create_sparse(disk, image.raw.stat().st_size)
    copy_sparse(image.raw, disk)
    kernel = image.uki(tmp_path)
    content = kernel.read_bytes()
    assert content.count(b"panic-on-corruption") == 1
    kernel.write_bytes(content.replace(b"panic-on-corruption", b"ignore-corruption  "))
    say("mcopy", "-o", "-i", f"{disk}@@{image.partition('ESP').start}", kernel, f"::{uki.path}")
    runner = Runner()
    hardware = Hardware(choose_accelerator(runner), firmware, snapshot=True)
    with Machine(runner, disk, hardware, log=tmp_path / "console.log") as machine:
        machine.wait_for(REFUSED, BOOT_SECONDS)
        assert "Linux version" not in machine.console


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
