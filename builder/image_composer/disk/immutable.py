"""The partitions of a disk whose root never changes: what the spec or the distribution lays out, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.spec.image import Filesystem, Partition, PartitionType

VAR = "/var"
VAR_LABEL = "var"

VAR_SIZE = "512MiB"
"""What /var has until it grows at the first start: room for a first update's lists, logs and containers' metadata."""


def immutable_partitions(partitions: Sequence[Partition]) -> list[Partition]:
    """Give the partitions of an immutable image.

    The root is never written to, its hashes follow it, and there is a place for what the machine writes: /var, which
    takes what the disk has left unless the spec says where it is.

    Args:
        partitions: as the spec or the distribution lays them out.
    """
    has_var = any(partition.mount_point == VAR for partition in partitions)
    found: list[Partition] = []
    for partition in partitions:
        if partition.type is not PartitionType.ROOT:
            found.append(partition if has_var else partition.model_copy(update={"grow": False}))
            continue
        found.append(partition.model_copy(update={"grow": False, "mount_options": "ro"}))
        found.append(
            Partition(label=hash_label(partition.label), type=PartitionType.ROOT_VERITY, filesystem=Filesystem.VERITY)
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


def hash_label(label: str) -> str:
    """Give the name of the partition with the hashes of another one's content."""
    return f"{label[: 36 - len('-verity')]}-verity"
