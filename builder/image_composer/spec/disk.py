"""The disk: its partitions, and what starts from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import (
    AbsolutePath,
    ByteSize,
    Flag,
    PartitionSize,
    SpecModel,
)

BIOS_BOOT_LABEL = "bios-boot"
"""Label of the partition that a BIOS starts GRUB from."""


class PartitionType(StrEnum):
    """What a partition is for, by its name in the Discoverable Partitions Specification."""

    ESP = "esp"
    ROOT = "root"
    ROOT_VERITY = "root-verity"
    """Hashes of an immutable root; the composer adds it."""

    HOME = "home"
    SRV = "srv"
    VAR = "var"
    LINUX = "linux"
    SWAP = "swap"

    BIOS_BOOT = "bios-boot"
    """What a BIOS starts of GRUB; the composer adds it."""


class Filesystem(StrEnum):
    """A file system that a partition can hold."""

    EXT4 = "ext4"
    VFAT = "vfat"
    SQUASHFS = "squashfs"
    """Compressed and read-only: for the root of an immutable image."""

    EROFS = "erofs"
    """The same, quicker to read."""

    XFS = "xfs"
    """For data: made at the first boot, empty."""

    BTRFS = "btrfs"
    """The same."""

    SWAP = "swap"
    """No file system, but room for memory that is not in use."""

    VERITY = "verity"
    """No file system, but the hashes of one; the composer adds it."""

    GRUB = "grub"
    """No file system, but what a BIOS starts of GRUB; the composer adds it."""


class Encrypt(StrEnum):
    """What opens an encrypted partition; each machine makes its own key at its first boot."""

    TPM2 = "tpm2"
    """The machine's TPM 2.0, as long as Secure Boot is as it was. Without a TPM the partition is not made."""

    KEY_FILE = "key-file"
    """A file of the machine below /var: for throwing disks away by overwriting that file, not against theft."""


class Partition(SpecModel):
    """One partition of the disk, in order."""

    label: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,36}$", max_length=36)]
    """GPT name, and the file system's label as far as that has room; unique."""

    type: PartitionType
    """What it is for; sets the partition's type GUID."""

    filesystem: Filesystem
    """File system made in it."""

    size: PartitionSize | None = None
    """Size, or a share of the disk's size such as `25%`; as large as its content needs, with room to work, when
    absent."""

    mount_point: AbsolutePath | None = None
    """Where it is mounted; what the packages put below it goes into it."""

    mount_options: Annotated[str, StringConstraints(pattern=r"^[a-z0-9=,._-]{1,128}$", max_length=128)] = "defaults"
    """Options for fstab."""

    grow: Flag = False
    """Whether it grows to the end of the device at boot; only the last one can."""

    encrypt: Encrypt | None = None
    """What opens it; its file system is then made at the first boot, empty, within LUKS2."""

    @property
    def made_at_first_boot(self) -> bool:
        """Whether the machine makes its file system, and not the composer."""
        return self.encrypt is not None or self.filesystem in (Filesystem.XFS, Filesystem.BTRFS)


class Disk(SpecModel):
    """The disk that the image is for."""

    size: ByteSize | None = None
    """Size of the whole disk; as small as its content allows when absent."""

    partitions: list[Partition] = Field(default_factory=list, max_length=32)
    """Partitions in order; the provider's default layout when empty."""


class BootLoaderType(StrEnum):
    """A program that the firmware starts, and that starts the kernel."""

    SYSTEMD_BOOT = "systemd-boot"
    """Starts a unified kernel image, which holds kernel, initramfs and command line."""

    GRUB = "grub"
    """Starts kernel and initramfs out of the root, as its configuration there says."""


class FirmwareType(StrEnum):
    """What starts the machine."""

    UEFI = "uefi"
    BIOS = "bios"
    BOTH = "both"
    """One image for machines of either kind."""


class BootLoader(SpecModel):
    """What starts the kernel. docs/boot-loaders.md says what each is for."""

    type: BootLoaderType = BootLoaderType.SYSTEMD_BOOT
    """The program: `grub` is for images that can change, of distributions that have its packages."""

    firmware: FirmwareType = FirmwareType.UEFI
    """Firmware of the machines: `bios` and `both` need `grub`, and x86_64."""

    @property
    def uefi(self) -> bool:
        """Whether machines with UEFI start it."""
        return self.firmware is not FirmwareType.BIOS

    @property
    def bios(self) -> bool:
        """Whether machines with a BIOS start it."""
        return self.firmware is not FirmwareType.UEFI
