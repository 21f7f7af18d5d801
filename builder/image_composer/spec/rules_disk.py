"""Rules about partitions; see rules.py."""

from __future__ import annotations

from collections.abc import Iterator

from image_composer.spec import rules_system
from image_composer.spec.base import parse_share
from image_composer.spec.disk import Filesystem, Partition, PartitionType
from image_composer.spec.image import ImageSpec
from image_composer.spec.problems import Finding
from image_composer.spec.trusted import Mutability

READ_ONLY = frozenset({Filesystem.SQUASHFS, Filesystem.EROFS})
"""File systems that nothing can be written to."""

ENCRYPTED = (Filesystem.EXT4, Filesystem.XFS, Filesystem.BTRFS)
"""File systems that an encrypted partition can hold."""

NEVER_EMPTY = frozenset({"/", "/boot", "/usr", "/var"})
"""Folders of the root that every distribution puts something into."""

NEVER_MOUNTED = frozenset({"dev", "etc", "proc", "run", "sys"})
"""Folders of the root that the running system mounts itself, or reads before it mounts anything."""


def partitions(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with partitions, and between them."""
    found = spec.disk.partitions
    if not found:
        return
    yield from rules_system.once("disk.partitions", "label", (partition.label for partition in found))
    points = [partition.mount_point for partition in found if partition.mount_point]
    yield from rules_system.once("disk.partitions", "mountPoint", points)
    for kind, what in ((PartitionType.ESP, "an EFI system partition"), (PartitionType.ROOT, "a root partition")):
        count = sum(partition.type is kind for partition in found)
        needless = kind is PartitionType.ESP and not spec.boot_loader.uefi
        if count != 1 and not (needless and count == 0):
            yield "disk.partitions", f"must hold {what} (type {kind}) exactly once, not {count} times"
    for number, partition in enumerate(found):
        yield from _partition(spec, partition, f"disk.partitions[{number}]", is_last=number == len(found) - 1)


def _partition(spec: ImageSpec, partition: Partition, path: str, *, is_last: bool) -> Iterator[Finding]:
    if partition.type is PartitionType.ROOT_VERITY or partition.filesystem is Filesystem.VERITY:
        yield path, "holds the hashes of an immutable root, and is added by the composer itself"
        return
    if partition.type is PartitionType.BIOS_BOOT or partition.filesystem is Filesystem.GRUB:
        yield path, "holds what a BIOS starts of GRUB, and is added by the composer itself"
        return
    if partition.type is PartitionType.SWAP or partition.filesystem is Filesystem.SWAP:
        yield from _swap(partition, path)
        return
    yield from _read_only(spec, partition, path)
    is_vfat = partition.filesystem is Filesystem.VFAT
    if (partition.type is PartitionType.ESP) != is_vfat:
        yield f"{path}.filesystem", "must be vfat on the EFI system partition, and only there"
    if (partition.type is PartitionType.ROOT) != (partition.mount_point == "/"):
        yield f"{path}.mountPoint", "must be / on the root partition, and only there"
    top = (partition.mount_point or "").split("/")[1:2]
    if set(top) & NEVER_MOUNTED:
        yield f"{path}.mountPoint", f"nothing can be mounted at or below /{top[0]}"
    if partition.grow and not is_last:
        yield f"{path}.grow", "only the last partition can grow"
    if partition.grow and is_vfat:
        yield f"{path}.grow", "vfat can't grow"
    yield from _made_at_first_boot(partition, path)


def _read_only(spec: ImageSpec, partition: Partition, path: str) -> Iterator[Finding]:
    is_root = partition.type is PartitionType.ROOT
    immutable = spec.mutability is Mutability.IMMUTABLE
    if partition.filesystem in READ_ONLY and not (is_root and immutable):
        yield f"{path}.filesystem", "is read-only: for the root of an immutable image, and nothing else"
    if is_root and immutable and partition.grow:
        yield f"{path}.grow", "can't be: the root of an immutable image never changes"


def _made_at_first_boot(partition: Partition, path: str) -> Iterator[Finding]:
    """What a machine makes at its first boot is empty, and is made when it is mounted first."""
    if partition.encrypt is not None and partition.filesystem not in ENCRYPTED:
        yield f"{path}.encrypt", f"needs one of the file systems {', '.join(ENCRYPTED)}"
        return
    if not partition.made_at_first_boot:
        return
    field = "filesystem" if partition.encrypt is None else "encrypt"
    if partition.type is PartitionType.ROOT or partition.mount_point in NEVER_EMPTY:
        yield f"{path}.{field}", f"is made at the first boot, empty, and so can't hold {partition.mount_point}"
    if partition.mount_point is None:
        yield f"{path}.mountPoint", "is missing: the machine makes this file system to mount it"


def given_content(spec: ImageSpec) -> Iterator[Finding]:
    """Nothing can lie where the machine mounts a file system that it makes itself."""
    points = {one.mount_point for one in spec.disk.partitions if one.made_at_first_boot and one.mount_point}
    encrypted = any(one.encrypt is not None for one in spec.disk.partitions)
    places = [(f"files[{number}].path", file.path) for number, file in enumerate(spec.files)]
    places += [(f"folders[{number}].path", folder.path) for number, folder in enumerate(spec.folders)]
    places += [(f"artifacts[{number}].path", artifact.path) for number, artifact in enumerate(spec.artifacts)]
    places += [(f"trees[{number}].path", tree.path) for number, tree in enumerate(spec.trees)]
    for path, place in places:
        if any(f"{place}/".startswith(f"{point}/") for point in points):
            yield path, "lies on a partition that is made at the first boot, empty; see tmpfiles"
        if place == "/etc/crypttab" and encrypted:
            yield path, "is written by the composer, for partitions that are encrypted"
    for number, partition in enumerate(spec.disk.partitions):
        if any((partition.mount_point or "").startswith(f"{point}/") for point in points if point != "/"):
            yield f"disk.partitions[{number}].mountPoint", "lies on a partition that is made at the first boot, empty"


def shares(spec: ImageSpec) -> Iterator[Finding]:
    """A share is of something, and all of them together of no more than that."""
    found = {number: parse_share(partition.size or "") for number, partition in enumerate(spec.disk.partitions)}
    told = {number: share for number, share in found.items() if share is not None}
    if spec.disk.size is None:
        for number in told:
            yield f"disk.partitions[{number}].size", "is a share of the disk, whose size (disk.size) is missing"
    if sum(told.values()) > 100:
        yield "disk.partitions", f"have shares of {sum(told.values())}% of the disk together"


def _swap(partition: Partition, path: str) -> Iterator[Finding]:
    """Swap space is no file system, and only its size can be told."""
    if (partition.type is PartitionType.SWAP) != (partition.filesystem is Filesystem.SWAP):
        yield f"{path}.filesystem", "must be swap on partitions of type swap, and only there"
        return
    if partition.mount_point is not None:
        yield f"{path}.mountPoint", "must be absent: swap is mounted nowhere"
    if partition.size is None:
        yield f"{path}.size", "is missing: swap has no content to go by"
    if partition.grow:
        yield f"{path}.grow", "swap can't grow"
    if partition.encrypt is not None:
        yield f"{path}.encrypt", f"needs one of the file systems {', '.join(ENCRYPTED)}"
