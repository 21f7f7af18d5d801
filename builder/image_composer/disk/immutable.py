"""The partitions of a disk whose root never changes: what the spec or the distribution lays out, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.disk.layout import ALIGNMENT, exact_size
from image_composer.disk.rounding import round_up
from image_composer.disk.verity import hashes_size
from image_composer.settings import MIB
from image_composer.spec.base import parse_size
from image_composer.spec.disk import Filesystem, Partition, PartitionType

VAR = "/var"
VAR_LABEL = "var"

VAR_SIZE = "512MiB"
"""What /var has until it grows at the first start: room for a first update's lists, logs and containers' metadata."""

EMPTY = "_empty"
"""Name in the partition table by which systemd-sysupdate knows a partition that it may fill."""

SLOT_SHARE = 4
SLOT_HEADROOM = 256 * MIB
"""A slot without a size gets a fourth more than its first root needs, and at least that much: later ones grow."""

_LABEL_LENGTH = 36


def immutable_partitions(partitions: Sequence[Partition], *, second_slot: bool = False) -> list[Partition]:
    """Give the partitions of an immutable image.

    The root is never written to, its hashes follow it, and there is a place for what the machine writes: /var, which
    takes what the disk has left unless the spec says where it is.

    Args:
        partitions: as the spec or the distribution lays them out.
        second_slot: whether there is room for the next version's root and hashes.
    """
    has_var = any(partition.mount_point == VAR for partition in partitions)
    found: list[Partition] = []
    for partition in partitions:
        if partition.type is not PartitionType.ROOT:
            found.append(partition if has_var else partition.model_copy(update={"grow": False}))
            continue
        found += _slot(partition.model_copy(update={"grow": False, "mount_options": "ro"}))
        if second_slot:
            found += _slot(
                Partition(
                    label=spare_label(partition.label),
                    type=partition.type,
                    filesystem=partition.filesystem,
                    size=partition.size,
                )
            )
    if not has_var:
        found.append(
            Partition(
                label=VAR_LABEL,
                type=PartitionType.VAR,
                filesystem=Filesystem.EXT4,
                size=VAR_SIZE,
                mount_point=VAR,
                mount_options="nodev,nosuid",
                grow=True,
            )
        )
    return found


def _slot(root: Partition) -> list[Partition]:
    """Give a root and the place of its hashes."""
    hashes = Partition(label=hash_label(root.label), type=PartitionType.ROOT_VERITY, filesystem=Filesystem.VERITY)
    return [root, hashes]


def sized_slots(partitions: Sequence[Partition], root_size: int) -> list[Partition]:
    """Give both slots the same size, with room for larger versions unless the spec says how large they are.

    Args:
        partitions: of a disk with two slots.
        root_size: bytes of the first root.
    """
    given = next(partition.size for partition in partitions if partition.type is PartitionType.ROOT)
    room = parse_size(given) if given else root_size + max(root_size // SLOT_SHARE, SLOT_HEADROOM)
    sizes = {
        PartitionType.ROOT: given or exact_size(round_up(room, ALIGNMENT)),
        PartitionType.ROOT_VERITY: exact_size(round_up(hashes_size(round_up(room, ALIGNMENT)), ALIGNMENT)),
    }
    return [
        partition.model_copy(update={"size": sizes.get(partition.type, partition.size)}) for partition in partitions
    ]


def slot_names(partitions: Sequence[Partition], version: str) -> dict[str, str]:
    """Give the names in the partition table of both slots by label: of the first its version, of the second none."""
    root = next(partition for partition in partitions if partition.type is PartitionType.ROOT)
    spare = spare_label(root.label)
    return {
        root.label: slot_name(root.label, version),
        hash_label(root.label): slot_name(hash_label(root.label), version),
        spare: EMPTY,
        hash_label(spare): EMPTY,
    }


def slot_name(label: str, version: str) -> str:
    """Give the name of a slot's partition that holds a version, or a pattern of versions."""
    return f"{label}_{version}"


def hash_label(label: str) -> str:
    """Give the name of the partition with the hashes of another one's content."""
    return _added(label, "-verity")


def spare_label(label: str) -> str:
    """Give the label of the second slot's root, by that of the first."""
    return _added(label, "-b")


def _added(label: str, suffix: str) -> str:
    return f"{label[: _LABEL_LENGTH - len(suffix)]}{suffix}"
