"""How UEFI starts the installer: one program with kernel, initramfs and command line, on a FAT of its own.

The program is made before the FAT is, so that it can be signed in between.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from image_composer.disk.esp import EspFile, FatParameters, make_fat, size_needed
from image_composer.disk.filesystems import filesystem_uuid
from image_composer.disk.tools import ToolRunner
from image_composer.disk.uki import UkiSections, write_uki
from image_composer.formats.base import Stamp
from image_composer.spec.disk import Filesystem

PLACE = PurePosixPath("EFI/BOOT/BOOTX64.EFI")
"""Where firmware looks on a medium that it knows nothing of (UEFI specification, 3.5.1.1)."""

LABEL = "INSTALL"


def write_program(destination: Path, boot: Path, initrd: Path, *, kernel_release: str, command_line: str) -> None:
    """Write the program that starts the installer.

    Args:
        destination: file to make.
        boot: folder with `stub`, `kernel` and `os-release` of the image.
        initrd: the installer's.
        kernel_release: as `uname -r` prints it.
        command_line: of the kernel.

    Raises:
        DiskError: see `write_uki`.
    """
    sections = UkiSections(
        os_release=(boot / "os-release").read_bytes(),
        command_line=command_line,
        kernel_release=kernel_release,
        kernel=boot / "kernel",
        initrd=initrd,
    )
    write_uki(destination, (boot / "stub").read_bytes(), sections)


def write_partition(destination: Path, program: Path, stamp: Stamp, *, tools: ToolRunner) -> None:
    """Write the EFI system partition that holds the program.

    Raises:
        DiskError: it can't be written.
        ToolError: a program is missing or failed.
    """
    files = [EspFile(PLACE, program)]
    serial = filesystem_uuid(Filesystem.VFAT, "iso", stamp.identity)
    make_fat(files, destination, FatParameters(size_needed(files), serial, LABEL, stamp.epoch), tools=tools)
