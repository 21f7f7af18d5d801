"""What each file system needs of the partition that it is made in, and how it is named."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.disk.identity import Identity
from image_composer.settings import MIB
from image_composer.spec.disk import Filesystem

MINIMUM_FILESYSTEM: Mapping[Filesystem, int] = {
    # 65525 clusters are what makes a FAT a FAT32, which the UEFI specification asks for; with clusters of one sector
    # that is just under 32 MiB, and the two FATs come on top.
    Filesystem.VFAT: 33 * MIB,
    # The smallest journal has 4 MiB, and mke2fs lets it take no more than half of the free room.
    Filesystem.EXT4: 16 * MIB,
    Filesystem.SQUASHFS: MIB,
    Filesystem.EROFS: MIB,
    Filesystem.XFS: 300 * MIB,  # mkfs.xfs makes none that is smaller
    Filesystem.BTRFS: 128 * MIB,  # two copies of the metadata
    Filesystem.SWAP: MIB,
    Filesystem.VERITY: MIB,
    Filesystem.GRUB: MIB,
}
"""Smallest size that a file system can be made in."""

MINIMUM_HEADROOM: Mapping[Filesystem, int] = {
    Filesystem.VFAT: 32 * MIB,  # a second, larger kernel image
    Filesystem.EXT4: 256 * MIB,  # the lists of apt-get update, logs
    Filesystem.SQUASHFS: 0,
    Filesystem.EROFS: 0,
    Filesystem.XFS: 0,
    Filesystem.BTRFS: 0,
    Filesystem.SWAP: 0,
    Filesystem.VERITY: 0,
    Filesystem.GRUB: 0,
}
"""Least free room in a partition without a size."""

LUKS_HEADER = 16 * MIB
"""What LUKS2 takes of an encrypted partition."""

LABEL_LENGTH: Mapping[Filesystem, int] = {
    Filesystem.EXT4: 16,
    Filesystem.VFAT: 11,
    Filesystem.SQUASHFS: 0,
    Filesystem.EROFS: 15,
    Filesystem.XFS: 12,
    Filesystem.BTRFS: 255,
    Filesystem.SWAP: 15,
    Filesystem.VERITY: 0,
    Filesystem.GRUB: 0,
}
"""Characters that a file system's label has room for."""


def filesystem_label(filesystem: Filesystem, label: str) -> str:
    """Give the part of a partition's label that its file system has room for, in characters that it allows."""
    if filesystem is Filesystem.VFAT:
        label = label.upper().replace(".", "_")
    return label[: LABEL_LENGTH[filesystem]]


def filesystem_uuid(filesystem: Filesystem, label: str, identity: Identity) -> str:
    """Give the id of the file system in a partition, as fstab spells it."""
    if filesystem is Filesystem.VFAT:
        serial = identity.fat_id(label)
        return f"{serial[:4]}-{serial[4:]}"
    return str(identity.filesystem(label))
