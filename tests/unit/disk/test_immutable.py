from __future__ import annotations

from typing import Any

import pytest

from image_composer.disk.immutable import immutable_partitions
from image_composer.spec.image import Partition

ESP: dict[str, Any] = {"label": "ESP", "type": "esp", "filesystem": "vfat"}
ROOT: dict[str, Any] = {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "grow": True}
DATA: dict[str, Any] = {"label": "data", "type": "linux", "filesystem": "ext4", "mountPoint": "/opt", "grow": True}
VAR: dict[str, Any] = {"label": "state", "type": "var", "filesystem": "ext4", "mountPoint": "/var", "grow": True}


def laid_out(*partitions: dict[str, Any]) -> list[Partition]:
    return immutable_partitions([Partition.model_validate(partition) for partition in partitions])


@pytest.mark.parametrize(
    ("given", "labels", "growing"),
    [
        ([ESP, ROOT], ["ESP", "root", "root-verity", "var"], ["var"]),
        ([ESP, ROOT, DATA], ["ESP", "root", "root-verity", "data", "var"], ["var"]),
        ([ESP, ROOT, VAR], ["ESP", "root", "root-verity", "state"], ["state"]),
        ([ROOT, ESP, VAR], ["root", "root-verity", "ESP", "state"], ["state"]),
    ],
)
def test_hashes_follow_the_root_and_var_takes_the_rest_unless_it_is_there(
    given: list[dict[str, Any]], labels: list[str], growing: list[str]
) -> None:
    found = laid_out(*given)
    assert [partition.label for partition in found] == labels
    assert [partition.label for partition in found if partition.grow] == growing


def test_the_root_is_mounted_to_be_read_only() -> None:
    [root] = [
        partition for partition in laid_out(ESP, {**ROOT, "mountOptions": "noatime"}) if partition.label == "root"
    ]
    assert (root.mount_options, root.grow) == ("ro", False)


def test_a_long_label_leaves_room_for_what_is_added() -> None:
    labels = [partition.label for partition in laid_out(ESP, {**ROOT, "label": "r" * 36})]
    assert labels[2] == "r" * 29 + "-verity"
