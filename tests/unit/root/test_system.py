"""Settings of the whole system."""

from __future__ import annotations

import base64
from fnmatch import fnmatchcase
from typing import Any

import pytest

from image_composer.root.operations import Operation
from image_composer.root.system import (
    REPART_TYPES,
    Mount,
    final_operations,
    fstab,
    growth_operations,
    hosts,
    system_operations,
)
from image_composer.spec.disk import Filesystem, Partition, PartitionType


def partition(label: str, point: str | None = None, kind: str = "linux", **fields: Any) -> Partition:
    return Partition.model_validate({"label": label, "type": kind, "filesystem": "ext4", "mountPoint": point, **fields})


ESP = partition("ESP", "/boot/efi", "esp", filesystem="vfat", mountOptions="umask=0077")
ROOT = partition("root", "/", "root")


def content(operation: Operation) -> str:
    return base64.b64decode(operation["content"]).decode()


def test_fstab_has_parents_before_what_is_mounted_below_them() -> None:
    log, var = partition("log", "/var/log"), partition("var", "/var", "var", mountOptions="noatime,nodev")
    mounts = [Mount(f"uuid-{part.label}", part) for part in (ESP, log, ROOT, var)]
    assert fstab(mounts).splitlines()[1:] == [
        "UUID=uuid-root / ext4 defaults 0 1",
        "UUID=uuid-ESP /boot/efi vfat umask=0077 0 0",
        "UUID=uuid-var /var ext4 noatime,nodev 0 2",
        "UUID=uuid-log /var/log ext4 defaults 0 2",
    ]


def test_a_file_system_grows_with_its_partition() -> None:
    grown = fstab([Mount("u", partition("root", "/", "root", grow=True))])
    assert "UUID=u / ext4 defaults,x-systemd.growfs 0 1" in grown


def test_swap_is_used_and_mounted_nowhere() -> None:
    swap = partition("swap", kind="swap", filesystem="swap", size="1GiB", mountOptions="pri=5")
    assert fstab([Mount("u", ROOT), Mount("s", swap)]).splitlines()[1] == "UUID=s none swap pri=5 0 0"
    made = system_operations("edge", [Mount("s", swap)], [ESP, ROOT, swap])
    assert "mount-point" not in {operation["kind"] for operation in made}


def test_nothing_grows_unless_it_is_asked_for() -> None:
    assert growth_operations([ESP, ROOT]) == []


def test_repart_is_told_of_every_partition_in_order_and_which_one_grows() -> None:
    found = growth_operations([ESP, ROOT, partition("data", "/srv", "srv", grow=True)])
    stays = "SizeMinBytes=1M\nWeight=0\nPaddingWeight=0\n"
    assert {operation["path"]: content(operation) for operation in found} == {
        "/etc/repart.d/10-ESP.conf": f"[Partition]\nType=esp\nLabel=ESP\n{stays}",
        "/etc/repart.d/11-root.conf": f"[Partition]\nType=root\nLabel=root\n{stays}",
        "/etc/repart.d/12-data.conf": "[Partition]\nType=srv\nLabel=data\nSizeMinBytes=1M\n",
    }


def test_repart_knows_every_type_of_partition() -> None:
    assert set(REPART_TYPES) == set(PartitionType) - {PartitionType.BIOS_BOOT}


def test_repart_is_told_nothing_of_a_type_that_it_has_no_name_for() -> None:
    core = Partition(label="bios-boot", type=PartitionType.BIOS_BOOT, filesystem=Filesystem.GRUB)
    found = growth_operations([core, ESP, partition("data", "/srv", "srv", grow=True)])
    assert [operation["path"] for operation in found] == ["/etc/repart.d/11-ESP.conf", "/etc/repart.d/12-data.conf"]


def test_names_of_repart_files_sort_as_the_partitions_stand() -> None:
    many = [partition(f"p{number}", grow=number == 31) for number in range(32)]
    paths = [operation["path"] for operation in growth_operations(many)]
    assert paths == sorted(paths)


@pytest.mark.parametrize(
    ("hostname", "line"),
    [("edge", "127.0.1.1 edge"), ("edge.example.org", "127.0.1.1 edge.example.org edge")],
)
def test_a_machine_knows_its_own_name_without_a_network(hostname: str, line: str) -> None:
    assert line in hosts(hostname).splitlines()
    assert "127.0.0.1 localhost" in hosts(hostname).splitlines()


def test_mount_points_are_made_but_for_the_root() -> None:
    operations = system_operations("edge", [Mount("a", ESP), Mount("b", ROOT)], [ESP, ROOT])
    assert [op["path"] for op in operations if op["kind"] == "mount-point"] == ["/boot/efi"]
    assert [op["path"] for op in operations if op["kind"] == "write"] == [
        "/etc/hostname",
        "/etc/hosts",
        "/etc/fstab",
        "/usr/lib/systemd/system.conf.d/40-image-composer.conf",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/ssh/ssh_host_ed25519_key",
        "/var/lib/systemd/random-seed",
        "/var/lib/dbus/machine-id",
        "/root/.bash_history",
        "/var/log/dpkg.log",
        "/var/lib/dpkg/status-old",
        "/run/lock",
        "/tmp/x",
    ],
)
def test_what_no_two_machines_may_share_is_removed(path: str) -> None:
    patterns = [operation["path"] for operation in final_operations() if operation["kind"] == "remove"]
    assert any(fnmatchcase(path, pattern) for pattern in patterns)


def test_every_machine_makes_its_own_id() -> None:
    (machine_id,) = (op for op in final_operations() if op["path"] == "/etc/machine-id")
    assert (machine_id["kind"], content(machine_id)) == ("write", "")
