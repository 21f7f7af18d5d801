"""The ISO of an image installs it: by itself, onto a disk that then starts, and for somebody at a BIOS machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from image_composer.disk.sparse import create_sparse
from image_composer.run import Runner
from image_composer.settings import MIB
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Drive, Hardware, choose_accelerator, find_firmware
from support.disks import partition_table
from support.guest import BOOT_SECONDS, GROWTH
from support.image import RELEASES, Image
from support.marks import on_the_machine

pytestmark = [pytest.mark.build, pytest.mark.network, pytest.mark.parametrize("release", RELEASES[:1], indirect=True)]

DOWN = "\x1b[B"


@dataclass(frozen=True)
class Installed:
    """A disk that the installer has written to."""

    disk: Path
    console: str
    """What was said meanwhile."""

    exit_status: int


@pytest.fixture(scope="module")
def installed(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The image, installed from a CD by UEFI onto a blank disk that is larger."""
    folder = tmp_path_factory.mktemp("installed")
    disk, runner = folder / "disk.raw", Runner()
    create_sparse(disk, image.raw.stat().st_size + GROWTH)
    hardware = Hardware(choose_accelerator(runner), find_firmware(), snapshot=False, medium=image.path("iso"))
    with Machine(runner, disk, hardware, log=folder / "console.log") as machine:
        machine.wait_for("Done: poweroff|switched off", BOOT_SECONDS)
        status = machine.wait_ended(BOOT_SECONDS)
        console = machine.console
    yield Installed(disk, console, status)
    disk.unlink()


@on_the_machine
def test_it_installs_onto_a_blank_disk_without_anybody_and_switches_off(image: Image, installed: Installed) -> None:
    assert installed.exit_status == 0, installed.console
    steps = ["Checking the image", "Writing to vda", "Reading vda back", "growing partition 3"]
    places = [installed.console.index(step) for step in [*steps, "gate-12-1.2.3 is on vda, checked"]]
    assert places == sorted(places)


@on_the_machine
def test_what_is_installed_is_the_image_with_a_larger_last_partition(image: Image, installed: Installed) -> None:
    built, found = (partition_table(disk)["partitions"] for disk in (image.raw, installed.disk))
    assert [(entry["uuid"], entry["start"]) for entry in found] == [(entry["uuid"], entry["start"]) for entry in built]
    assert (found[-1]["size"] - built[-1]["size"]) * 512 > GROWTH - 2 * MIB
    end = (built[-1]["start"] + built[-1]["size"]) * 512
    with image.raw.open("rb") as one, installed.disk.open("rb") as two:
        for offset in range(MIB, end, MIB):
            one.seek(offset)
            two.seek(offset)
            assert one.read(MIB) == two.read(MIB), offset


@on_the_machine
def test_the_installed_disk_starts(installed: Installed, tmp_path: Path) -> None:
    runner = Runner()
    hardware = Hardware(choose_accelerator(runner), find_firmware(), snapshot=True)
    with Machine(runner, installed.disk, hardware, log=tmp_path / "console.log") as machine:
        machine.wait_for("login: ", BOOT_SECONDS)


@on_the_machine
def test_a_bios_starts_it_from_a_stick_and_somebody_keeps_a_disk_with_data(
    image: Image, installed: Installed, tmp_path: Path
) -> None:
    """The default would be the smallest disk; GRUB's other entry asks."""
    blank, runner = tmp_path / "blank.raw", Runner()
    create_sparse(blank, image.raw.stat().st_size)
    written = installed.disk.stat().st_mtime_ns
    hardware = Hardware(
        choose_accelerator(runner),
        snapshot=False,
        medium=image.path("iso"),
        medium_drive=Drive.USB,
        further_disks=(blank,),
    )
    with Machine(runner, installed.disk, hardware, log=tmp_path / "console.log") as machine:
        machine.wait_for("asking for the disk", BOOT_SECONDS)
        machine.send(f"{DOWN}\r")
        menu = machine.wait_for(r"(?s)\n  1\) vda .*?Number or letter", BOOT_SECONDS)[0]
        assert "holds: partitions" in menu
        assert "sda" not in menu, "the stick itself"
        machine.send("1\n")
        machine.wait_for("vda is not empty.* will be lost", BOOT_SECONDS)
        machine.send("no\n")
        machine.wait_for("Number or letter", BOOT_SECONDS)
        machine.send("p\n")
        assert machine.wait_ended(BOOT_SECONDS) == 0
    assert installed.disk.stat().st_mtime_ns == written
    assert blank.stat().st_blocks == 0
