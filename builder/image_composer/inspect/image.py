"""`image-composer inspect`: what an image holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from image_composer.disk.layout import SECTOR
from image_composer.evidence.deb822 import paragraphs
from image_composer.inspect.esp import list_files, read_program
from image_composer.inspect.files import Files
from image_composer.inspect.grub import CONFIGURATIONS, boot_loader, firmware, read_configuration
from image_composer.inspect.model import (
    GrubFound,
    ImageReport,
    PackageFound,
    PartitionFound,
    ProgramFound,
    UkiFound,
)
from image_composer.inspect.opened import OpenedImage, open_image
from image_composer.inspect.raw import RawImage, corrupted
from image_composer.inspect.readers import files_of
from image_composer.inspect.rpmdb import DATABASES, rpm_packages
from image_composer.inspect.table import read_table
from image_composer.run import Runner
from image_composer.spec.disk import PartitionType


def inspect_image(path: Path, runner: Runner) -> ImageReport:
    """Say what an image holds.

    Args:
        path: an image in any of the formats and compressions that a build delivers.
        runner: runs the tools that read file systems.

    Raises:
        InspectError: INSPECT_UNREADABLE, INSPECT_NOT_AN_IMAGE, INSPECT_CORRUPTED or INSPECT_UNSUPPORTED.
        ToolError: TOOL_MISSING or TOOL_DISK_FULL.
    """
    with open_image(path, runner) as image:
        return report_of(path, image)


def installed_packages(status: str) -> list[PackageFound]:
    """Give the packages that dpkg's status file says are installed, by name."""
    found = [
        PackageFound(
            name=control["package"],
            version=control.get("version", ""),
            architecture=control.get("architecture", ""),
        )
        for control in paragraphs(status)
        if "package" in control and control.get("status", "").split()[-1:] == ["installed"]
    ]
    return sorted(found, key=lambda package: (package.name, package.architecture))


def os_release(text: str) -> dict[str, str]:
    """Give the fields of an os-release file; a line that no shell would take is left out."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, assigned, value = line.strip().partition("=")
        if not assigned or name.startswith("#"):
            continue
        try:
            fields[name] = "".join(shlex.split(value, comments=False))
        except ValueError:
            continue
    return fields


def root_hash(command_line: str) -> str | None:
    """Give the root hash that a kernel is started with; None when its root can change."""
    found = re.search(r"(?:^|\s)roothash=([0-9a-fA-F]+)(?=\s|$)", command_line)
    return found[1].lower() if found else None


def report_of(path: Path, given: OpenedImage) -> ImageReport:
    """Say what an opened image holds, as `inspect_image` does."""
    image = given.disk
    table, disk_id, partitions = read_table(image)
    root = _find_root(image, partitions)
    boot_files, programs, ukis = _boot(image, partitions)
    modules = root.names("/usr/lib/modules") if root else []
    grub = _grub(image, root, partitions)
    return ImageReport(
        file=str(path),
        format=given.format,
        compression=given.compression,
        size=image.size,
        partition_table=table,
        disk_id=disk_id,
        partitions=partitions,
        os_release=os_release(_text(root, "/etc/os-release")),
        hostname=_text(root, "/etc/hostname").strip() or None,
        kernel_version=next((uki.kernel_version for uki in ukis), None)
        or (grub.kernel_version if grub else None)
        or next(reversed(modules), None),
        root_hash=next((found for uki in ukis if (found := root_hash(uki.command_line or ""))), None),
        boot_loader=boot_loader(boot_files, grub),
        firmware=firmware(boot_files, image.read(0, SECTOR), partitions),
        ukis=ukis,
        programs=programs,
        grub=grub,
        boot_files=boot_files,
        fstab=[" ".join(line.split()) for line in _text(root, "/etc/fstab").splitlines() if _says_something(line)],
        packages=_packages(image, root, _separate_var(image, partitions)),
    )


def _find_root(image: RawImage, partitions: Sequence[PartitionFound]) -> Files | None:
    """Give the file system that has an os-release; those of the root's type are asked first."""
    for partition in sorted(partitions, key=lambda partition: partition.role != PartitionType.ROOT):
        candidate = files_of(image, partition)
        if candidate is not None and candidate.read("/etc/os-release") is not None:
            return candidate
    return None


def _separate_var(image: RawImage, partitions: Sequence[PartitionFound]) -> Files | None:
    """Give the file system of a partition of its own for /var; None when there is none."""
    found = [files_of(image, partition) for partition in partitions if partition.role == PartitionType.VAR]
    return next((files for files in found if files is not None), None)


def _packages(image: RawImage, root: Files | None, var: Files | None) -> list[PackageFound]:
    """Give what dpkg or rpm knows to be installed."""
    status = _text(root, "/var/lib/dpkg/status") or _text(var, "/lib/dpkg/status")
    if status:
        return installed_packages(status)
    for path in DATABASES:
        below = path.removeprefix("/var") if path.startswith("/var/") else None
        database = (root.read(path) if root else None) or (var.read(below) if var and below else None)
        if database:
            try:
                return rpm_packages(database, path)
            except ValueError as error:
                raise corrupted(image.path, f"{path} in it can't be read: {error}") from error
    return []


def _boot(
    image: RawImage, partitions: Sequence[PartitionFound]
) -> tuple[list[str], list[ProgramFound], list[UkiFound]]:
    """Give the files, the programs and the unified kernel images of the EFI system partition."""
    for partition in partitions:
        if partition.role == PartitionType.ESP and partition.filesystem == "vfat":
            files = list_files(image, partition.start)
            names = [path for path in files if path.lower().endswith(".efi")]
            found = [read_program(image, partition.start, path) for path in names]
            return files, [program for program, _ in found], [uki for _, uki in found if uki is not None]
    return [], [], []


def _grub(image: RawImage, root: Files | None, partitions: Sequence[PartitionFound]) -> GrubFound | None:
    """Read GRUB's configuration in the root, or on a partition of its own for /boot."""
    others = [files_of(image, partition) for partition in partitions if partition.role == PartitionType.LINUX]
    for name in CONFIGURATIONS:
        for place, below in [(root, ""), *((other, "/boot") for other in others)]:
            text = _text(place, name.removeprefix(below))
            if text:
                return read_configuration(name, text)
    return None


def _text(filesystem: Files | None, path: str) -> str:
    content = filesystem.read(path) if filesystem else None
    return (content or b"").decode("utf-8", "replace")


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
