"""Sizes of partitions that are told as a share of the disk."""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.disk.layout import ALIGNMENT, exact_size
from image_composer.disk.rounding import round_down
from image_composer.spec.base import parse_share
from image_composer.spec.disk import Partition


def with_whole_sizes(partitions: Sequence[Partition], disk_size: int | None) -> list[Partition]:
    """Give the partitions with sizes in place of shares, which are whole MiB and never more than was asked for.

    Args:
        partitions: those of a disk whose size is known when one has a share; the spec's rules see to that.
        disk_size: bytes of the whole disk.
    """
    return [_with_whole_size(partition, disk_size or 0) for partition in partitions]


def _with_whole_size(partition: Partition, disk_size: int) -> Partition:
    share = parse_share(partition.size or "")
    if share is None:
        return partition
    size = max(round_down(disk_size * share // 100, ALIGNMENT), ALIGNMENT)
    return partition.model_copy(update={"size": exact_size(size)})
