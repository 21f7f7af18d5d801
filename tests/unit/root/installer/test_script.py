"""The installer's script, run by a real shell with the real tools, on a machine made of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.settings import MIB
from support.disks import partition_table, say
from support.installing import FileMachine

IMAGE_SIZE = 13 * MIB
"""More than what is written at once."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with two partitions and something in them."""
    path = tmp_path_factory.mktemp("raw") / "edge.raw"
    with path.open("wb") as stream:
        stream.truncate(IMAGE_SIZE)
    script = 'label: gpt\nsize=4MiB, type=U, name="ESP"\nsize=6MiB, name="root", attrs="GUID:59"\n'
    say("sh", "-c", f"printf '%b' '{script}' | sfdisk -q {path}")
    with path.open("r+b") as stream:
        for place in range(2 * MIB, IMAGE_SIZE - 2 * MIB, 512 * 1024):
            stream.seek(place)
            stream.write(place.to_bytes(8) * 100)
    return path


@pytest.fixture
def machine(tmp_path: Path, raw: Path) -> FileMachine:
    return FileMachine(tmp_path / "machine", raw)


def holds_image(disk: Path, raw: Path) -> bool:
    """Say whether a disk holds the image, but for the partition tables, which may have moved."""
    content, expected = disk.read_bytes(), raw.read_bytes()
    return content[MIB : IMAGE_SIZE - MIB] == expected[MIB : IMAGE_SIZE - MIB]


def is_blank(disk: Path) -> bool:
    content = disk.read_bytes()
    return content.count(0) == len(content)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("smallest", "vdb"),
        ("largest", "vda"),
        ("serial:ABC-2", "vdc"),
        ("serial:NVME9", "vdd"),
        ("path:/dev/disk/by-path/slot-3", "vdd"),
        ("path:/dev/sda", "sda"),
    ],
)
def test_a_rule_chooses_one_disk_and_the_others_stay_as_they_are(
    machine: FileMachine, raw: Path, rule: str, chosen: str
) -> None:
    machine.add("vda", 32 * MIB)
    machine.add("vdb", 20 * MIB)
    machine.add("vdc", 24 * MIB, serial="ABC-2")
    machine.add("vdd", 24 * MIB)
    (machine.folder / "sys/block/vdd/device").mkdir()
    (machine.folder / "sys/block/vdd/device/serial").write_text("NVME9   \n")
    machine.add("sda", 60 * MIB, below="pci0/usb1/1-1")
    machine.add("sdb", 60 * MIB, removable="1")
    machine.add("sdc", 60 * MIB, ro="1")
    machine.add("sdd", 4 * MIB)
    machine.add("loop0", 18 * MIB)
    (machine.folder / "dev/disk/by-path").mkdir()
    (machine.folder / "dev/disk/by-path/slot-3").symlink_to("../../vdd")
    ended = machine.install(target=rule, grow="2")
    assert ended.action == "poweroff", ended.console
    assert "edge-1.0 is on" in ended.console
    names = ["vda", "vdb", "vdc", "vdd", "sda", "sdb", "sdc", "sdd", "loop0"]
    assert [name for name in names if not is_blank(machine.disk(name))] == [chosen]
    assert holds_image(machine.disk(chosen), raw)


def test_the_last_partition_grows_to_the_end_of_the_disk_and_stays_what_it_is(machine: FileMachine, raw: Path) -> None:
    disk = machine.add("vda", 30 * MIB)
    machine.install(target="smallest", grow="2")
    before, after = partition_table(raw), partition_table(disk)
    assert after["partitions"][1]["size"] * 512 > 23 * MIB
    assert after["lastlba"] == 30 * MIB // 512 - 34
    unchanged = [{**partition, "size": 0, "node": ""} for partition in after["partitions"]]
    assert unchanged == [{**partition, "size": 0, "node": ""} for partition in before["partitions"]]
    assert after["id"] == before["id"]
    assert "No errors detected" in say("sfdisk", "--verify", disk)


def test_without_a_partition_that_grows_only_the_table_reaches_to_the_end(machine: FileMachine, raw: Path) -> None:
    disk = machine.add("vda", 30 * MIB)
    machine.install(target="smallest")
    assert partition_table(disk)["partitions"][1]["size"] == partition_table(raw)["partitions"][1]["size"]
    assert disk.read_bytes()[-512:].startswith(b"EFI PART")


def test_a_disk_as_large_as_the_image_becomes_the_image(machine: FileMachine, raw: Path) -> None:
    disk = machine.add("vda", IMAGE_SIZE)
    assert "checked" in machine.install(target="largest", grow="2").console
    assert disk.read_bytes() == raw.read_bytes()


@pytest.mark.parametrize("content", ["table", "filesystem"])
def test_a_disk_with_data_is_refused_and_left_alone(machine: FileMachine, content: str) -> None:
    disk = machine.add("vda", 20 * MIB)
    say("sh", "-c", f"echo ,,L | sfdisk -q {disk}" if content == "table" else f"mke2fs -q -F {disk}")
    before = disk.read_bytes()
    ended = machine.install(target="smallest")
    assert "error: the disk vda is not empty, it holds: " + ("dos" if content == "table" else "ext2") in ended.console
    assert ended.action == "poweroff"
    assert disk.read_bytes() == before


def test_a_disk_with_partitions_whose_table_is_gone_is_refused(machine: FileMachine) -> None:
    machine.add("vda", 20 * MIB)
    (machine.folder / "sys/block/vda/vda1").mkdir()
    (machine.folder / "sys/block/vda/vda1/partition").write_text("1\n")
    assert "it holds: partitions" in machine.install(target="smallest").console


def test_a_disk_with_data_is_written_to_when_that_was_said(machine: FileMachine, raw: Path) -> None:
    disk = machine.add("vda", 20 * MIB)
    say("mke2fs", "-q", "-F", disk)
    assert machine.install(target="smallest", overwrite="yes", when_done="reboot").action == "reboot"
    assert holds_image(disk, raw)


def test_it_never_writes_to_the_stick_that_it_runs_from(machine: FileMachine) -> None:
    stick = machine.add("sda", 100 * MIB)
    partition = machine.folder / "sys/devices/virtual/block/sda/sda1"
    partition.mkdir()
    (partition / "partition").write_text("1\n")
    (machine.folder / "sys/class/block/sda1").symlink_to(partition)
    link = machine.folder / "dev/disk/by-label" / machine.arguments["medium"]
    link.unlink()
    (machine.folder / "dev/sda1").touch()
    link.symlink_to("../../sda1")
    ended = machine.install(target="path:/dev/sda", overwrite="yes")
    assert "there is no disk for the rule 'path:/dev/sda'" in ended.console
    assert is_blank(stick)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"target": "smallest"}, "there is no disk for the rule 'smallest' that has the 13 MiB of the image"),
        ({"target": "serial:none"}, "there is no disk for the rule 'serial:none'"),
        ({"target": "path:/dev/vda"}, "the disk vda has 4 MiB, less than the 13 MiB of the image"),
        ({"target": "biggest"}, "installer.target=biggest is none of ask, smallest"),
        ({"target": "smallest", "overwrite": "maybe"}, "installer.overwrite=maybe is neither yes nor no"),
        ({"target": "smallest", "when_done": "dance"}, "installer.when-done=dance is neither reboot nor poweroff"),
        ({"target": "smallest", "size": ""}, "does not say how large the image is"),
        ({"target": "smallest", "medium": "OTHER"}, "the medium OTHER, which this was started from, is not found"),
    ],
)
def test_what_is_wrong_is_said_and_the_machine_switched_off(
    machine: FileMachine, arguments: dict[str, str], complaint: str
) -> None:
    disk = machine.add("vda", 4 * MIB)
    ended = machine.install(**arguments)
    assert f"error: {complaint}" in ended.console or complaint in ended.console
    assert ended.action == "poweroff"
    assert is_blank(disk)


def test_a_damaged_image_is_found_before_anything_is_written(machine: FileMachine) -> None:
    disk = machine.add("vda", 20 * MIB)
    content = bytearray(machine.packed.read_bytes())
    content[len(content) // 2] ^= 1
    machine.packed.write_bytes(content)
    assert "the image on the medium is damaged" in machine.install(target="smallest").console
    assert is_blank(disk)


def test_a_disk_that_does_not_hold_what_was_written_is_found_and_left_blank(machine: FileMachine) -> None:
    disk = machine.add("vda", 20 * MIB)
    ended = machine.install(target="smallest", sha256="0" * 64)
    assert "error: vda does not hold what was written to it" in ended.console
    assert not any(disk.read_bytes()[:MIB])


def test_what_is_added_at_boot_counts_more_than_what_was_built_in(machine: FileMachine) -> None:
    machine.add("vda", 20 * MIB)
    machine.add("vdb", 24 * MIB)
    machine.arguments["title"] = "edge-1.0 installer.target=smallest"
    machine.install(target="largest")
    assert is_blank(machine.disk("vda"))


def test_progress_is_told(machine: FileMachine) -> None:
    machine.add("vda", 20 * MIB)
    console = machine.install(target="smallest").console
    steps = ["Installer of edge-1.0", "Checking the image", "checked: 100 %", "Writing to vda", "written: 100 %"]
    places = [console.index(step) for step in [*steps, "read back: 100 %", "edge-1.0 is on vda, checked", "Done"]]
    assert places == sorted(places)


def test_somebody_chooses_a_disk_at_the_console(machine: FileMachine, raw: Path) -> None:
    machine.add("vda", 4 * MIB)
    full = machine.add("vdb", 20 * MIB, serial="S1")
    say("mke2fs", "-q", "-F", full)
    blank = machine.add("vdc", 20 * MIB)
    with machine.operated(target="ask", when_done="reboot") as operator:
        menu = operator.sees("Number or letter, and Enter:")
        assert "2) vdb  20 MiB   serial S1, holds: ext2" in menu
        assert "3) vdc  20 MiB" in menu
        operator.types("1")
        operator.sees("vda is smaller than the 13 MiB of the image")
        operator.sees("Number or letter")
        operator.types("2")
        operator.sees("vdb is not empty, it holds: ext2. All that is on it will be lost")
        operator.types("yes")
        operator.sees("Number or letter")
        operator.types("3")
        operator.sees("Type 'yes' and Enter to write to vdc")
        operator.types("yes")
        operator.sees("press Enter to reboot")
        operator.types("")
        assert operator.sees_the_end() == "reboot"
    assert holds_image(blank, raw)
    assert not holds_image(full, raw)


def test_somebody_erases_a_disk_or_goes_away(machine: FileMachine, raw: Path) -> None:
    full = machine.add("vda", 20 * MIB)
    say("mke2fs", "-q", "-F", full)
    with machine.operated(target="ask") as operator:
        operator.sees("Number or letter")
        operator.types("1")
        operator.sees("Type 'erase'")
        operator.types("erase")
        operator.sees("press Enter to poweroff")
    assert holds_image(full, raw)
    with machine.operated(target="ask") as operator:
        operator.sees("Number or letter")
        operator.types("p")
        assert operator.sees_the_end() == "poweroff"
