"""The files that a build delivers, and how an installer among them behaves."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import (
    Flag,
    SpecModel,
)


class OutputFormat(StrEnum):
    """A form in which the image is delivered. docs/formats.md says what each is for."""

    RAW = "raw"
    QCOW2 = "qcow2"
    """For QEMU; compressed inside."""

    VHD = "vhd"
    """Fixed, as Azure takes it."""

    VHD_DYNAMIC = "vhd-dynamic"
    VHDX = "vhdx"
    VMDK = "vmdk"
    """streamOptimized, as VMware's import takes it; compressed inside."""

    ISO = "iso"
    """Installer that writes the raw disk, which is compressed inside, to a disk of the machine started from it."""

    UKI = "uki"
    """The unified kernel image alone: for PXE, and for updates."""

    ROOT = "root"
    """The root file system alone."""

    ROOT_VERITY = "root-verity"
    """The hashes of an immutable root alone."""


PARTS = frozenset({OutputFormat.UKI, OutputFormat.ROOT, OutputFormat.ROOT_VERITY})
"""Formats that are a part of the disk, of which updates are made."""


class Compression(StrEnum):
    """How an output is compressed."""

    NONE = "none"
    ZSTD = "zstd"
    XZ = "xz"
    GZIP = "gzip"


class Output(SpecModel):
    """One file that the build delivers."""

    format: OutputFormat
    """Format of the file: `vhd` is the fixed one, `vmdk` is streamOptimized, `iso` is an installer; `uki`, `root` and
    `root-verity` are parts of the disk."""

    compression: Compression = Compression.NONE
    """Compression of the file. `qcow2`, `vmdk` and `iso` are compressed inside already and take none."""


class InstallRule(StrEnum):
    """How the installer finds the disk that it writes to."""

    ASK = "ask"
    """Somebody chooses it at the console or the serial port."""

    SMALLEST = "smallest"
    LARGEST = "largest"
    """Of the disks that the image fits on, but for those on USB and removable ones."""

    SERIAL = "serial"
    PATH = "path"


class InstallTarget(SpecModel):
    """The disk that the installer writes to."""

    rule: InstallRule = InstallRule.ASK
    """How it is found. All but `ask` need nobody."""

    value: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:+/@#=,-]{1,255}$", max_length=255)] | None = None
    """Serial number, as udev spells it, or path below /dev; for these two rules only."""


class WhenDone(StrEnum):
    """What the machine does when the image is on its disk."""

    POWEROFF = "poweroff"
    REBOOT = "reboot"


class Installer(SpecModel):
    """What the installer of an `iso` output does. Arguments of its kernel can change each at boot: docs/iso.md."""

    target: InstallTarget = Field(default_factory=InstallTarget)
    """Disk that it writes to."""

    overwrite: Flag = False
    """Whether it writes to a disk with a partition table or a file system on it without asking anybody."""

    when_done: WhenDone = WhenDone.POWEROFF
    """What the machine does at the end. `reboot` leads a machine that tries the medium first to the installer again."""
