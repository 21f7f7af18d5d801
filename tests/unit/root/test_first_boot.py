"""What the machine makes at its first boot: told to it in the image, and never made twice."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from image_composer.disk.identity import Identity
from image_composer.disk.unmade import MARK, make_unmade
from image_composer.errors import AssemblyError
from image_composer.root.first_boot import MAKE, check_empty, first_boot_operations, mount_options
from image_composer.root.operations import Operation
from image_composer.root.system import Mount, fstab
from image_composer.settings import MIB
from image_composer.spec.disk import Partition
from support.disks import say

IDENTITY = Identity("c" * 64)
UUID = "12345678-1234-5678-9abc-def012345678"


def partition(**fields: Any) -> Partition:
    common = {"label": "my-data", "type": "linux", "filesystem": "xfs", "mountPoint": "/srv/data"}
    return Partition.model_validate({**common, **fields})


FAST = partition()
CLOSED = partition(filesystem="ext4", encrypt="key-file")
SEALED = partition(filesystem="btrfs", encrypt="tpm2", grow=True)


def written(partition: Partition) -> dict[str, str]:
    operations = first_boot_operations([partition], IDENTITY)
    return {operation["path"]: content(operation) for operation in operations if operation["kind"] == "write"}


def content(operation: Operation) -> str:
    return base64.b64decode(operation["content"]).decode()


def test_nothing_is_written_when_the_composer_makes_all_file_systems() -> None:
    assert first_boot_operations([partition(filesystem="ext4")], IDENTITY) == []
    assert mount_options(partition(filesystem="ext4")) == []


@pytest.mark.parametrize(
    ("partition", "line"),
    [
        (FAST, "UUID=u /srv/data xfs defaults,x-systemd.requires=make-my-data.service 0 0"),
        (
            partition(grow=True),
            "UUID=u /srv/data xfs defaults,x-systemd.requires=make-my-data.service,x-systemd.growfs 0 0",
        ),
        (
            CLOSED,
            "/dev/mapper/luks-my-data /srv/data ext4 "
            "defaults,nofail,x-systemd.before=local-fs.target,"
            "x-systemd.device-timeout=infinity,x-systemd.requires=make-my-data.service 0 2",
        ),
        (
            SEALED,
            "/dev/mapper/luks-my-data /srv/data btrfs "
            "defaults,nofail,x-systemd.before=local-fs.target,"
            "x-systemd.device-timeout=infinity,x-systemd.requires=make-my-data.service 0 0",
        ),
    ],
)
def test_it_is_mounted_once_it_is_made_and_a_machine_starts_without_what_is_closed(
    partition: Partition, line: str
) -> None:
    assert fstab([Mount("u", partition)]).splitlines()[1] == line


def test_crypttab_says_what_opens_a_partition() -> None:
    uuid = IDENTITY.partition("my-data")
    assert written(CLOSED)["/etc/crypttab"] == (
        f"luks-my-data PARTUUID={uuid} /var/lib/image-composer/keys/my-data.key luks,headless=1,nofail\n"
    )
    assert written(SEALED)["/etc/crypttab"] == (
        f"luks-my-data PARTUUID={uuid} - luks,tpm2-device=auto,headless=1,nofail\n"
    )
    assert "/etc/crypttab" not in written(FAST)


def test_it_is_made_after_its_partition_has_grown_and_before_it_is_opened() -> None:
    unit = written(CLOSED)["/etc/systemd/system/make-my-data.service"]
    uuid = str(IDENTITY.partition("my-data")).replace("-", r"\x2d")
    opener = r"systemd-cryptsetup@luks\x2dmy\x2ddata.service"
    assert rf"After=dev-disk-by\x2dpartuuid-{uuid}.device systemd-remount-fs.service systemd-repart.service" in unit
    assert f"Before={opener} local-fs.target shutdown.target\n" in unit
    [link] = [one for one in first_boot_operations([CLOSED], IDENTITY) if one["kind"] == "link"]
    assert link["path"] == f"/etc/systemd/system/{opener}.requires/make-my-data.service"


@pytest.mark.parametrize("change", [{"inodes": 2}, {"mode": 0o750}, {"uid": 1000}, {"gid": 4}])
def test_what_lies_there_is_refused(change: dict[str, int]) -> None:
    usage = {"blocks": 1, "inodes": 1, "mode": 0o755, "uid": 0, "gid": 0}
    for kind in (FAST, CLOSED, SEALED):
        check_empty({"my-data": kind}, {"my-data": usage})
        with pytest.raises(AssemblyError, match="something at /srv/data") as caught:
            check_empty({"my-data": kind}, {"my-data": {**usage, **change}})
        assert caught.value.code == "ASSEMBLE_NOT_EMPTY"
    check_empty({"my-data": partition(filesystem="ext4")}, {"my-data": {**usage, **change}})


@pytest.fixture
def device(tmp_path: Path) -> Path:
    device = tmp_path / "device"
    make_unmade(device)
    with device.open("r+b") as stream:
        stream.truncate(32 * MIB)
    return device


def make(device: Path, filesystem: str = "ext4", *more: str) -> int:
    words = ["sh", "-c", MAKE.replace("@MARK@", MARK), "make", str(device), filesystem, UUID, "my-data", *more]
    return subprocess.run(words, check=False, capture_output=True).returncode


def test_a_marked_partition_is_made_once(device: Path) -> None:
    assert make(device) == 0
    found = dict(line.split("=", 1) for line in say("blkid", "-p", "-o", "export", device).splitlines())
    assert (found["TYPE"], found["UUID"], found["LABEL"]) == ("ext4", UUID, "my-data")
    before = device.read_bytes()
    assert make(device) == 0
    assert device.read_bytes() == before


@pytest.mark.parametrize("there", [b"LUKS\xba\xbe", b"\0", MARK.encode()[:-1] + b"\0"])
def test_what_has_no_mark_is_left_alone(device: Path, there: bytes) -> None:
    device.write_bytes(there.ljust(MIB, b"\0"))
    before = device.read_bytes()
    assert make(device) == 0
    assert device.read_bytes() == before


def test_what_could_not_be_made_keeps_its_mark_and_is_tried_again(device: Path) -> None:
    assert make(device, "ext4", "luks-x", "/proc/no/key") != 0
    assert device.read_bytes().startswith(MARK.encode())
    assert make(device) == 0
