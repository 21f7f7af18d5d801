from __future__ import annotations

import base64
from typing import Any

import pytest

from image_composer.root.immutable import (
    Early,
    early,
    immutable_operations,
    initrd_operations,
    mount_lines,
    movable,
    var_unit,
)
from image_composer.spec.disk import Partition
from image_composer.spec.trusted import EtcChanges

VAR = Partition.model_validate(
    {"label": "var", "type": "var", "filesystem": "ext4", "mountPoint": "/var", "mountOptions": "nodev"}
)
HOME = Partition.model_validate({"label": "h", "type": "home", "filesystem": "ext4", "mountPoint": "/home"})
UUID = "6486b2db-c546-5149-bfc5-7ea864b926fc"


def written(operations: list[Any]) -> dict[str, str]:
    return {
        operation["path"]: base64.b64decode(operation["content"]).decode()
        for operation in operations
        if operation["kind"] == "write"
    }


def test_what_people_write_to_lies_in_var_unless_it_has_a_partition() -> None:
    moved = [
        (operation["path"], operation["target"])
        for operation in immutable_operations(movable([VAR, HOME]), EtcChanges.PERSISTENT)
        if operation["kind"] == "move-content"
    ]
    assert moved == [("/root", "/var/roothome"), ("/srv", "/var/srv")]
    assert [line.split()[:2] for line in mount_lines(movable([VAR, HOME]))] == [
        ["/var/roothome", "/root"],
        ["/var/srv", "/srv"],
        ["tmpfs", "/tmp"],
    ]


def test_var_is_mounted_in_the_initramfs_by_its_id_and_as_the_spec_says() -> None:
    text = var_unit(early({UUID: VAR}, EtcChanges.PERSISTENT))
    assert f"What=/dev/disk/by-uuid/{UUID}\n" in text
    assert "Type=ext4\nOptions=nodev\n" in text
    check = r"systemd-fsck@dev-disk-by\x2duuid-6486b2db\x2dc546\x2d5149\x2dbfc5\x2d7ea864b926fc.service"
    assert f"Wants={check}\n" in text


@pytest.mark.parametrize(
    ("etc", "upper"),
    [
        (EtcChanges.PERSISTENT, "upperdir=/sysroot/var/lib/image-composer/etc/upper,"),
        (EtcChanges.VOLATILE, "upperdir=/run/image-composer/etc/upper,"),
    ],
)
def test_changes_to_etc_lie_where_the_spec_says(etc: EtcChanges, upper: str) -> None:
    units = written(initrd_operations("/tree", Early(etc, UUID, VAR)))
    assert upper in units["/tree/etc/systemd/system/image-composer-etc.service"]


def test_what_tells_machines_apart_is_kept_when_other_changes_are_not() -> None:
    kept, not_kept = (
        written(immutable_operations(["/home"], etc)) for etc in (EtcChanges.VOLATILE, EtcChanges.PERSISTENT)
    )
    assert "ssh/ssh_host_*" in kept["/etc/systemd/system/keep-identity.service"]
    assert not_kept == {}
