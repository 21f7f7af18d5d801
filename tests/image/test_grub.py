"""An image that GRUB starts, on machines with a BIOS and on machines with UEFI; and its configuration written anew."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from image_composer.run import Runner
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Hardware, choose_accelerator, find_firmware
from support.composer import Composer, write_document
from support.disks import say
from support.guest import BOOT_SECONDS, FirstBoot, first_boot
from support.image import ARGUMENT, VIRTUAL, Credentials, Image, build, document
from support.marks import on_the_machine

pytestmark = [pytest.mark.build, pytest.mark.network]

QUOTED = 'composer.words="one two"'
"""An argument with a blank, which GRUB's shell and its way to the kernel must leave whole."""


@pytest.fixture(scope="module")
def image(composer: Composer, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image-grub")
    asked = {
        **document("13", credentials),  # without partitions of its own
        "name": "gate-grub",
        "packages": ["openssh-server"],
        "excludePackages": [],
        "kernel": {"package": VIRTUAL, "commandLine": [QUOTED, ARGUMENT]},
        "bootLoader": {"type": "grub", "firmware": "both"},
        "outputs": [{"format": "raw"}],
    }
    yield build(composer, write_document(folder, asked), folder / "published")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def booted(image: Image, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstBoot]:
    """What was seen of a machine with a BIOS, whose configuration was written anew before it was switched off."""
    seen = first_boot(image, credentials, tmp_path_factory.mktemp("machine-grub"), bios=True)
    yield seen
    seen.disk.unlink()


@dataclass(frozen=True)
class Start:
    """What the console said until people could log in."""

    console: str

    @property
    def command_line(self) -> str:
        found = re.search(r"Command line: (.*)", self.console)
        assert found is not None, self.console
        return found[1].strip()


@pytest.fixture(scope="module")
def on_uefi(booted: FirstBoot) -> Start:
    """The same disk in a machine with UEFI."""
    runner = Runner()
    with Machine(runner, booted.disk, Hardware(choose_accelerator(runner), find_firmware())) as machine:
        machine.wait_for("login: ", BOOT_SECONDS)
        return Start(machine.console)


def arguments(command_line: str) -> list[str]:
    """Give the arguments without the kernel's file, which GRUB names in its own way on each platform."""
    return [word for word in command_line.split() if not word.startswith("BOOT_IMAGE=")]


def test_the_disk_has_a_place_for_what_a_bios_starts(image: Image) -> None:
    assert "No errors detected" in say("sfdisk", "--verify", image.raw)
    labels = [(partition.label, partition.role, partition.size) for partition in image.report.partitions]
    assert labels[0] == ("bios-boot", "bios-boot", 1 << 20)
    assert [label for label, _, _ in labels[1:]] == ["ESP", "root"]


def test_inspect_tells_what_starts_it(image: Image) -> None:
    report = image.report
    assert (report.boot_loader, report.firmware, report.ukis) == ("grub", ["uefi", "bios"], [])
    assert report.boot_files == ["/EFI/BOOT/BOOTX64.EFI", "/EFI/debian/grubx64.efi"]
    assert report.grub is not None
    assert report.grub.kernel == f"/boot/vmlinuz-{report.kernel_version}"
    root = f"root=PARTUUID={image.partition('root').uuid}"
    assert (report.grub.command_line or "").split()[0] == root
    assert (report.grub.command_line or "").endswith(f'"composer.words=one two" {ARGUMENT}')


def test_the_root_holds_what_grub_starts_and_nothing_that_it_remembers(image: Image) -> None:
    with image.root() as root:
        assert f"initrd.img-{image.report.kernel_version}" in root.names("/boot")
        assert root.names("/boot/grub") == ["grub.cfg"]
    assert not {"systemd-boot", "systemd-boot-efi"} & set(image.packages)


@on_the_machine
def test_a_bios_starts_it_and_systemd_is_content(booted: FirstBoot) -> None:
    assert booted.facts["boot-mode"].text == "bios"
    assert (booted.facts["failed"].text, booted.facts["state"].text, booted.state) == ("", "running", "running")
    assert booted.exit_status == 0


@on_the_machine
def test_the_kernel_gets_the_documents_arguments(booted: FirstBoot) -> None:
    assert booted.facts["command-line"].text.endswith(f'"composer.words=one two" {ARGUMENT}')


@on_the_machine
def test_the_root_grows_though_a_partition_of_no_known_type_lies_before_it(booted: FirstBoot, image: Image) -> None:
    [root] = [mount for mount in booted.facts["mounts"].document["filesystems"] if mount["target"] == "/"]
    assert root["size"] > image.report.size


@on_the_machine
def test_dpkg_finds_every_file_as_it_was_packed(booted: FirstBoot) -> None:
    assert booted.facts["verify"].lines == []


@on_the_machine
def test_the_machine_s_own_update_grub_finds_kernel_and_initramfs(booted: FirstBoot, image: Image) -> None:
    said = booted.facts["update-grub"]
    assert said.status == 0
    assert f"Found linux image: /boot/vmlinuz-{image.report.kernel_version}" in said.lines
    assert f"Found initrd image: /boot/initrd.img-{image.report.kernel_version}" in said.lines


@on_the_machine
def test_uefi_starts_it_by_what_update_grub_wrote_with_the_same_arguments(booted: FirstBoot, on_uefi: Start) -> None:
    assert arguments(on_uefi.command_line) == arguments(booted.facts["command-line"].text)
    assert "efi: EFI v" in on_uefi.console
