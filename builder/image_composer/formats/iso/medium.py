"""The medium: ISO 9660 with the disk and what starts the installer, by xorriso."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.disk.cpio import ALIGNMENT
from image_composer.disk.gpt_types import SHARED_TYPES
from image_composer.disk.sparse import explained
from image_composer.disk.tools import ToolRunner
from image_composer.formats.base import Stamp
from image_composer.formats.iso.arguments import DiskFacts, installer_arguments, volume_label
from image_composer.formats.iso.efi import write_partition, write_program
from image_composer.formats.iso.grub import BOOT_SECTOR, menu, write_bios_image
from image_composer.spec.disk import PartitionType
from image_composer.spec.outputs import Installer

DISK = Path("image/disk.zst")
"""The compressed raw disk on the medium."""

BIOS_IMAGE = Path("boot/grub/bios.img")

_DATA_TYPE = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
"""Partition type of the ISO's own part on a USB stick: ordinary data, which no system wants to mount as its own."""


@dataclass(frozen=True, slots=True)
class InstallerParts:
    """What an installer is made of beside the disk."""

    boot: Path
    """Folder with `kernel`, `initrd`, `stub` and `os-release` of the image, and the installer's archive."""

    archive: str
    """Name of the archive."""

    kernel_release: str
    """As `uname -r` prints it."""

    own_arguments: Sequence[str]
    """Arguments of the image's kernel, but for those that lead to its root."""

    settings: Installer
    title: str
    """Name and version of the image."""

    grow: int | None
    """Number of the partition that takes the rest of a larger disk."""

    sign: Callable[[Path, Path], None] | None = None
    """Writes a signed copy of an EFI program, given where it is and where that goes."""


def write_starters(
    folder: Path, parts: InstallerParts, raw: Path, packed: Path, stamp: Stamp, *, tools: ToolRunner
) -> None:
    """Write all that starts the installer.

    Args:
        folder: gets `efi.img` and, in `tree/`, what lies on the ISO but for the disk.
        parts: of the installer.
        raw: the raw disk.
        packed: the same, compressed by zstd.
        stamp: where ids and times come from.
        tools: runs the programs.

    Raises:
        DiskError: something can't be written.
        ToolError: a program is missing or failed.
    """
    label = volume_label(stamp.identity)
    facts = DiskFacts(
        title=parts.title,
        size=raw.stat().st_size,
        digest=file_sha256(raw),
        packed_size=packed.stat().st_size,
        packed_digest=file_sha256(packed),
        grow=parts.grow,
    )
    arguments = installer_arguments(parts.own_arguments, parts.settings, facts, label)
    tree = folder / "tree"
    with explained(folder):
        (tree / BIOS_IMAGE).parent.mkdir(parents=True)
        (tree / DISK).parent.mkdir()
        initrd = tree / "boot/initrd"
        join_archives(parts.boot / "initrd", parts.boot / parts.archive, initrd)
        shutil.copyfile(parts.boot / "kernel", tree / "boot/kernel")
        (tree / "boot/grub/grub.cfg").write_text(menu(parts.title, arguments))
        write_bios_image(folder / "bios.img", label, tools=tools)
        (folder / "bios.img").replace(tree / BIOS_IMAGE)
        program = folder / "installer.efi"
        release, line = parts.kernel_release, " ".join(arguments)
        write_program(program, parts.boot, initrd, kernel_release=release, command_line=line)
        if parts.sign is not None:
            unsigned, program = program, folder / "signed.efi"
            parts.sign(unsigned, program)
            unsigned.unlink()
        write_partition(folder / "efi.img", program, stamp, tools=tools)
        program.unlink()


def write_medium(folder: Path, packed: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:
    """Write the ISO.

    Args:
        folder: what `write_starters` has filled.
        packed: the raw disk, compressed by zstd.
        destination: file to make, which isn't there.
        stamp: where ids and times come from.
        tools: runs xorriso.

    Raises:
        ToolError: xorriso is missing or failed.
    """
    (folder / "tree" / DISK).symlink_to(packed.absolute())
    time = datetime.fromtimestamp(stamp.epoch, UTC).strftime("%Y%m%d%H%M%S00")
    tools.run(
        [
            *("xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long", "-f"),
            *("-V", volume_label(stamp.identity), "-iso-level", "3"),
            *(f"--modification-date={time}", "--set_all_file_dates", time),
            *("-b", BIOS_IMAGE, "-c", "boot/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"),
            *("--grub2-boot-info", "--grub2-mbr", BOOT_SECTOR, "-partition_offset", "16"),
            *(
                "-append_partition",
                "2",
                str(SHARED_TYPES[PartitionType.ESP]),
                folder / "efi.img",
                "-appended_part_as_gpt",
            ),
            *("--gpt_disk_guid", stamp.identity.uuid("iso-disk").hex, "-iso_mbr_part_type", _DATA_TYPE),
            *("-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"),
            *("-o", destination, folder / "tree"),
        ],
        env={"SOURCE_DATE_EPOCH": str(stamp.epoch)},
    )


def join_archives(first: Path, second: Path, destination: Path) -> None:
    """Write one initramfs behind the other; the kernel unpacks them in order, so the second one adds to the first.

    Raises:
        OSError: it can't be written.
    """
    with destination.open("wb") as joined:
        with first.open("rb") as source:
            shutil.copyfileobj(source, joined, 1 << 20)
        joined.write(b"\0" * (-joined.tell() % ALIGNMENT))
        with second.open("rb") as source:
            shutil.copyfileobj(source, joined, 1 << 20)
