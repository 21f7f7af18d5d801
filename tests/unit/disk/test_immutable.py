from __future__ import annotations

from typing import Any

import pytest

from image_composer.disk.identity import Identity
from image_composer.disk.immutable import immutable_partitions, sized_slots, slot_names
from image_composer.disk.layout import DiskLayout, plan
from image_composer.disk.verity import hashes_size
from image_composer.errors import DiskTooSmallError
from image_composer.settings import GIB, MIB
from image_composer.spec.disk import Partition
from image_composer.spec.image import Architecture

ESP: dict[str, Any] = {"label": "ESP", "type": "esp", "filesystem": "vfat"}
ROOT: dict[str, Any] = {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "grow": True}
DATA: dict[str, Any] = {"label": "data", "type": "linux", "filesystem": "ext4", "mountPoint": "/opt", "grow": True}
VAR: dict[str, Any] = {"label": "state", "type": "var", "filesystem": "ext4", "mountPoint": "/var", "grow": True}


def laid_out(*partitions: dict[str, Any], second_slot: bool = False) -> list[Partition]:
    given = [Partition.model_validate(partition) for partition in partitions]
    return immutable_partitions(given, second_slot=second_slot)


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


def test_a_second_slot_follows_the_first_and_is_like_it() -> None:
    found = laid_out(ESP, {**ROOT, "size": "1GiB"}, second_slot=True)
    labels = ["ESP", "root", "root-verity", "root-b", "root-b-verity", "var"]
    assert [partition.label for partition in found] == labels
    first, second = found[1], found[3]
    assert (first.type, first.filesystem, first.size) == (second.type, second.filesystem, second.size)
    assert second.mount_point is None


@pytest.mark.parametrize(
    ("given", "root_size", "slot"),
    [
        (None, 400 * MIB, 656 * MIB),  # 256 MiB are more than a fourth
        (None, 4 * GIB - 5, 5 * GIB),
        ("2GiB", 400 * MIB, 2 * GIB),
    ],
)
def test_both_slots_have_room_for_larger_versions(given: str | None, root_size: int, slot: int) -> None:
    root = ROOT if given is None else {**ROOT, "size": given}
    partitions = sized_slots(laid_out(ESP, root, second_slot=True), root_size)
    contents = {"root": root_size, "root-verity": hashes_size(root_size)}
    sizes = [planned.size for planned in planned_disk(partitions, contents, None).partitions[1:5]]
    assert sizes[:2] == sizes[2:]
    assert sizes[0] == slot
    assert hashes_size(slot) <= sizes[1]


def test_the_table_names_versions_and_what_is_empty() -> None:
    partitions = laid_out(ESP, ROOT, second_slot=True)
    planned = planned_disk(sized_slots(partitions, MIB), {}, slot_names(partitions, "1.4.0"))
    names = [partition.name for partition in planned.partitions]
    assert names == ["ESP", "root_1.4.0", "root-verity_1.4.0", "_empty", "_empty", "var"]


def test_a_disk_without_room_for_two_slots_is_refused_with_what_is_needed() -> None:
    partitions = sized_slots(laid_out(ESP, ROOT, second_slot=True), GIB)
    with pytest.raises(DiskTooSmallError, match=r"but at least 3129MiB are needed: .*root 1280MiB, .*root-b 1280MiB"):
        planned_disk(partitions, {}, None, disk_size=2 * GIB)


def planned_disk(
    partitions: list[Partition], contents: dict[str, int], names: dict[str, str] | None, disk_size: int | None = None
) -> DiskLayout:
    return plan(
        partitions,
        contents,
        disk_size=disk_size,
        architecture=Architecture.X86_64,
        identity=Identity("c" * 64),
        path_prefix="image",
        names=names,
    )
