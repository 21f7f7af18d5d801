"""Decides where everything goes on the disk. Touches nothing.

Sizes and offsets are bytes. Every partition begins and ends at a whole MiB, which suits any flash page, RAID stripe
or 4K sector, and leaves room for the partition table in the first and the last MiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from image_composer.disk.filesystems import (
    LUKS_HEADER,
    MINIMUM_FILESYSTEM,
    MINIMUM_HEADROOM,
    filesystem_label,
    filesystem_uuid,
)
from image_composer.disk.gpt_types import ATTRIBUTE_GROW_FILESYSTEM, ATTRIBUTE_READ_ONLY, type_guid
from image_composer.disk.identity import Identity
from image_composer.disk.rounding import round_down, round_up
from image_composer.errors import DiskTooSmallError, Problem, SpecError
from image_composer.settings import GIB, MIB
from image_composer.spec.base import parse_size
from image_composer.spec.disk import Partition
from image_composer.spec.image import Architecture

SECTOR = 512
"""Bytes of a logical sector, the only size that firmware boots everywhere."""

ALIGNMENT = MIB
"""Partitions begin and end at multiples of this; the first MiB holds the partition table."""

BACKUP_TABLE = 33 * SECTOR
"""The second copy of the partition table at the disk's end: 32 sectors of entries and the header."""

MAXIMUM_DISK = 16 * 1024 * GIB
"""The largest file that ext4 can hold, so the largest disk that most machines can make."""

HEADROOM_SHARE = 4
"""A partition without a size gets a fourth more than its content: room for one round of updates."""


@dataclass(frozen=True, slots=True)
class PlannedPartition:
    """A partition with its place on the disk and all its ids."""

    number: int
    """As in the partition table, from 1."""

    partition: Partition
    """What the spec says about it."""

    name: str
    """In the partition table."""

    offset: int
    size: int

    type_guid: UUID
    uuid: UUID
    """PARTUUID."""

    filesystem_uuid: str
    """As fstab and blkid spell it: a UUID for ext4, `ABCD-1234` for vfat."""

    filesystem_label: str
    """The label, as far as the file system has room for it."""

    attributes: tuple[int, ...]
    """GPT attribute bits that are set."""

    @property
    def label(self) -> str:
        """Its label in the spec, which no other has."""
        return self.partition.label

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class DiskLayout:
    """A whole disk."""

    size: int
    uuid: UUID
    """GUID of the partition table."""

    partitions: tuple[PlannedPartition, ...]

    def by_label(self, label: str) -> PlannedPartition:
        """Give the partition of this name."""
        return next(planned for planned in self.partitions if planned.label == label)


def plan(
    partitions: Sequence[Partition],
    contents: Mapping[str, int],
    *,
    disk_size: int | None,
    architecture: Architecture,
    identity: Identity,
    path_prefix: str,
    uuids: Mapping[str, UUID] | None = None,
    names: Mapping[str, str] | None = None,
) -> DiskLayout:
    """Give every partition its place.

    A partition keeps the size that the spec gives it; without one it gets what its content needs and headroom. On a
    disk of fixed size the last partition takes the rest if it grows or has no size, and headroom shrinks before the
    disk is called too small.

    Args:
        partitions: in order; at least one.
        contents: bytes that each partition needs at least, by label, with all that its file system adds.
        disk_size: bytes of the whole disk, or None for as small as the content allows.
        architecture: decides about the type of the root partition.
        identity: gives all ids.
        path_prefix: path of the image in the user's document, for messages.
        uuids: PARTUUIDs by label of partitions whose content is final and decides about them: they get no headroom.
        names: names in the partition table by label, of those that have another than their label.

    Raises:
        SpecError: SPEC_DISK_SIZE, the disk is larger than any that can be made.
        DiskTooSmallError: DISK_TOO_SMALL, with what is needed.
    """
    final = uuids or {}
    demands = [
        _demand(
            partition,
            contents.get(partition.label, 0),
            f"{path_prefix}.disk.partitions[{index}].size",
            final=partition.label in final,
        )
        for index, partition in enumerate(partitions)
    ]
    path = f"{path_prefix}.disk.size"
    needed = ALIGNMENT + sum(demand.least for demand in demands) + ALIGNMENT
    _check_maximum(max(needed, disk_size or 0), path)
    if disk_size is None:
        sizes = [demand.least + demand.headroom for demand in demands]
        disk_size = ALIGNMENT + sum(sizes) + ALIGNMENT
    else:
        available = round_down(disk_size - BACKUP_TABLE, ALIGNMENT) - ALIGNMENT
        if available < sum(demand.least for demand in demands):
            raise _disk_too_small(disk_size, needed, demands, path)
        sizes = _fill(demands, available)
    layout = _place(partitions, sizes, disk_size, architecture, identity)
    placed = [_finished(planned, final) for planned in layout.partitions]
    named = [replace(planned, name=(names or {}).get(planned.label, planned.name)) for planned in placed]
    return replace(layout, partitions=tuple(named))


def _finished(planned: PlannedPartition, uuids: Mapping[str, UUID]) -> PlannedPartition:
    """Give a partition whose content is final its own id, and say in the table that nothing writes to it."""
    if planned.label not in uuids:
        return planned
    return replace(planned, uuid=uuids[planned.label], attributes=(ATTRIBUTE_READ_ONLY,))


def exact_size(size: int) -> str:
    """Give a size as a user can write it into the spec, in the largest unit that is exact, for example `1536MiB`."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size // 1024}KiB"


@dataclass(frozen=True, slots=True)
class _Demand:
    """What one partition asks for, in whole MiB."""

    label: str
    least: int
    headroom: int
    takes_rest: bool
    """Whether it may get more than it asks for when it is the last."""


def _demand(partition: Partition, content: int, path: str, *, final: bool) -> _Demand:
    minimum = MINIMUM_FILESYSTEM[partition.filesystem] + (LUKS_HEADER if partition.encrypt else 0)
    needed = round_up(max(content, minimum), ALIGNMENT)
    if partition.size is None and final:
        return _Demand(partition.label, needed, 0, takes_rest=False)
    if partition.size is None:
        headroom = round_up(max(content // HEADROOM_SHARE, MINIMUM_HEADROOM[partition.filesystem]), ALIGNMENT)
        return _Demand(partition.label, needed, headroom, takes_rest=True)
    size = round_up(parse_size(partition.size), ALIGNMENT)
    if size < needed:
        reason = f"its content needs {exact_size(needed)}"
        if content <= minimum:
            reason = f"the smallest {partition.filesystem} file system has {exact_size(minimum)}"
        raise DiskTooSmallError(
            "DISK_TOO_SMALL",
            f"{path}: the partition {partition.label} has {partition.size}, but {reason}",
            hint=f"set its size to {exact_size(needed)} or more, or leave the size out",
        )
    return _Demand(partition.label, size, 0, takes_rest=partition.grow)


def _check_maximum(size: int, path: str) -> None:
    if size > MAXIMUM_DISK:
        message = f"the disk would have {exact_size(size)}; the largest that can be made has {exact_size(MAXIMUM_DISK)}"
        raise SpecError([Problem(path, message, "SPEC_DISK_SIZE")])


def _disk_too_small(disk_size: int, needed: int, demands: Sequence[_Demand], path: str) -> DiskTooSmallError:
    parts = ", ".join(f"{demand.label} {exact_size(demand.least)}" for demand in demands)
    return DiskTooSmallError(
        "DISK_TOO_SMALL",
        f"{path}: the disk has {exact_size(disk_size)}, but at least {exact_size(needed)} are needed: {parts}, "
        "partition table 2MiB",
        hint=f"set {path} to {exact_size(needed)} or more, or leave it out",
    )


def _fill(demands: Sequence[_Demand], available: int) -> list[int]:
    """Share the room of a disk of fixed size; it is known to be enough for what is needed at least."""
    slack = available - sum(demand.least for demand in demands)
    wanted = sum(demand.headroom for demand in demands)
    granted = min(slack, wanted)
    sizes = [
        demand.least + (round_down(demand.headroom * granted // wanted, ALIGNMENT) if wanted else 0)
        for demand in demands
    ]
    if demands[-1].takes_rest:
        sizes[-1] += available - sum(sizes)
    return sizes


def _place(
    partitions: Sequence[Partition],
    sizes: Sequence[int],
    disk_size: int,
    architecture: Architecture,
    identity: Identity,
) -> DiskLayout:
    placed: list[PlannedPartition] = []
    offset = ALIGNMENT
    for number, (partition, size) in enumerate(zip(partitions, sizes, strict=True), start=1):
        planned = PlannedPartition(
            number=number,
            partition=partition,
            name=partition.label,
            offset=offset,
            size=size,
            type_guid=type_guid(partition.type, architecture),
            uuid=identity.partition(partition.label),
            filesystem_uuid=filesystem_uuid(partition.filesystem, partition.label, identity),
            filesystem_label=filesystem_label(partition.filesystem, partition.label),
            attributes=(ATTRIBUTE_GROW_FILESYSTEM,) if partition.grow else (),
        )
        placed.append(planned)
        offset = planned.end
    return DiskLayout(disk_size, identity.disk(), tuple(placed))
