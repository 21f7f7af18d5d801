"""What each boot loader is on a disk: files of the EFI system partition, what a BIOS starts, the kernel's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from image_composer.disk import grub
from image_composer.disk.esp import EspFile
from image_composer.disk.layout import SECTOR, DiskLayout, PlannedPartition
from image_composer.disk.uki import UkiSections, write_uki
from image_composer.formats.naming import kernel_name
from image_composer.root.grub import BIOS_CORE, BOOT_SECTOR, UEFI_CORE
from image_composer.spec.disk import BIOS_BOOT_LABEL, BootLoaderType, PartitionType
from image_composer.spec.image import Architecture
from image_composer.steps.build import Build
from image_composer.workspace import AssembledRoot

REMOVABLE_LOADER = {Architecture.X86_64: "BOOTX64.EFI", Architecture.AARCH64: "BOOTAA64.EFI"}
"""Name by which firmware finds a boot loader on a disk it knows nothing of (UEFI specification, 3.5.1.1)."""

SYSTEMD_BOOT_NAME = {Architecture.X86_64: "systemd-bootx64.efi", Architecture.AARCH64: "systemd-bootaa64.efi"}
GRUB_NAME = {Architecture.X86_64: "grubx64.efi", Architecture.AARCH64: "grubaa64.efi"}
KERNELS = PurePosixPath("EFI/Linux")
LOADER_CONFIGURATION = b"timeout 0\n"

UNATTENDED = ["panic=10", "rd.shell=0", "rd.emergency=reboot"]
"""Kernel arguments by which a version that doesn't start is tried again, and then passed over, with nobody there."""


def kernel_command_line(build: Build, root: Sequence[str] | None = None) -> str:
    """Give the command line: where the root is, the provider's arguments, the user's.

    Args:
        build: the build.
        root: arguments that say where the root is, when it isn't simply a partition.
    """
    found = next(partition for partition in build.partitions if partition.type is PartitionType.ROOT)
    place = root or [f"root=PARTUUID={build.identity.partition(found.label)}"]
    failing = UNATTENDED if build.spec.image.immutable.update else []
    return " ".join([*place, *failing, *own_arguments(build)])


def own_arguments(build: Build) -> list[str]:
    """Give the arguments of the kernel that don't lead to the root: the provider's, then the user's."""
    spec, profile = build.spec.image, build.manifest.profile(build.spec.image.profile)
    provided = [*build.target[2].command_line, *(profile.command_line if profile else [])]
    return [*provided, *spec.kernel.command_line]


def write_kernel_image(build: Build, assembled: AssembledRoot, root: Sequence[str] | None = None) -> None:
    """Write the unified kernel image; GRUB starts what is in the root.

    Args:
        build: the build.
        assembled: what is known of the root.
        root: see `kernel_command_line`.

    Raises:
        DiskError: see `write_uki`.
    """
    boot = build.workspace.boot
    if build.spec.image.boot_loader.type is BootLoaderType.GRUB:
        return
    write_uki(
        build.workspace.uki,
        (boot / "stub").read_bytes(),
        UkiSections(
            os_release=(boot / "os-release").read_bytes(),
            command_line=kernel_command_line(build, root),
            kernel_release=assembled.kernel_version,
            kernel=boot / "kernel",
            initrd=boot / "initrd",
        ),
    )


def esp_files(build: Build) -> list[EspFile]:
    """Give what goes onto the EFI system partition."""
    architecture, boot = build.spec.image.target.architecture, build.workspace.boot
    if build.spec.image.boot_loader.type is BootLoaderType.GRUB:
        return _grub_files(build)
    return [
        EspFile(PurePosixPath("EFI/BOOT") / REMOVABLE_LOADER[architecture], boot / "loader"),
        EspFile(PurePosixPath("EFI/systemd") / SYSTEMD_BOOT_NAME[architecture], boot / "loader"),
        EspFile(KERNELS / kernel_name(build.spec.image), build.workspace.uki),
        EspFile(PurePosixPath("loader/loader.conf"), LOADER_CONFIGURATION),
        EspFile(PurePosixPath("loader/entries.srel"), b"type1\n"),
    ]


def _grub_files(build: Build) -> list[EspFile]:
    if not build.spec.image.boot_loader.uefi:
        return []
    architecture, core = build.spec.image.target.architecture, build.workspace.boot / UEFI_CORE
    own = PurePosixPath("EFI") / build.manifest.distribution
    return [
        EspFile(PurePosixPath("EFI/BOOT") / REMOVABLE_LOADER[architecture], core),
        EspFile(own / GRUB_NAME[architecture], core),
    ]


def bios_core_size(build: Build) -> dict[str, int]:
    """Give the bytes of GRUB's core for a BIOS by its partition's label; nothing when no BIOS is to start the disk."""
    if not build.spec.image.boot_loader.bios:
        return {}
    return {BIOS_BOOT_LABEL: (build.workspace.boot / BIOS_CORE).stat().st_size}


def bios_core(build: Build, planned: PlannedPartition) -> bytes:
    """Give the content of the partition that a BIOS starts GRUB from, to its last byte."""
    core = (build.workspace.boot / BIOS_CORE).read_bytes()
    return grub.placed_core(core, planned.offset // SECTOR).ljust(planned.size, b"\0")


def boot_code(build: Build, layout: DiskLayout) -> bytes | None:
    """Give what the disk begins with when a BIOS is to start it."""
    if not build.spec.image.boot_loader.bios:
        return None
    core = layout.by_label(BIOS_BOOT_LABEL)
    return grub.boot_code((build.workspace.boot / BOOT_SECTOR).read_bytes(), core.offset // SECTOR)
