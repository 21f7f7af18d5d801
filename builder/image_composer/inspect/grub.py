"""Recognises boot loaders, and reads what GRUB's configuration starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from image_composer.disk.grub import CODE_END, MAGIC
from image_composer.inspect.model import GrubFound, PartitionFound
from image_composer.spec.disk import BootLoaderType, FirmwareType, PartitionType

CONFIGURATIONS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")

_VERSION = re.compile(r"vmlinuz-([^/]+)$")
_REMOVABLE = re.compile(r"/efi/boot/boot[a-z0-9]+\.efi", re.IGNORECASE)
_SYSTEMD_BOOT = re.compile(r"/efi/systemd/systemd-boot[a-z0-9]+\.efi", re.IGNORECASE)


def boot_loader(boot_files: Sequence[str], grub: GrubFound | None) -> str | None:
    """Give the name of the boot loader.

    Args:
        boot_files: paths on the EFI system partition.
        grub: what its configuration in the root says, if there is one.
    """
    if grub is not None:
        return BootLoaderType.GRUB
    return BootLoaderType.SYSTEMD_BOOT if any(map(_SYSTEMD_BOOT.fullmatch, boot_files)) else None


def firmware(boot_files: Sequence[str], first_sector: bytes, partitions: Sequence[PartitionFound]) -> list[str]:
    """Say which firmware finds something to start."""
    found: list[str] = []
    if any(map(_REMOVABLE.fullmatch, boot_files)):
        found.append(FirmwareType.UEFI)
    has_core = any(partition.role == PartitionType.BIOS_BOOT for partition in partitions)
    if has_core and MAGIC in first_sector[:CODE_END]:
        found.append(FirmwareType.BIOS)
    return found


def read_configuration(path: str, text: str) -> GrubFound:
    """Give the first kernel that a configuration starts, which is what we and grub-mkconfig make the default."""
    kernel = _words(text, "linux")
    initrd = _words(text, "initrd")
    version = _VERSION.search(kernel[0]) if kernel else None
    return GrubFound(
        path=path,
        kernel=kernel[0] if kernel else None,
        initrd=initrd[0] if initrd else None,
        kernel_version=version[1] if version else None,
        command_line=" ".join(map(_argument, kernel[1:])) if kernel else None,
    )


def _words(text: str, command: str) -> list[str]:
    """Give the arguments of the first command of a name; GRUB's quotes are a shell's."""
    for line in text.splitlines():
        if line.split(maxsplit=1)[:1] != [command]:
            continue
        try:
            return shlex.split(line)[1:]
        except ValueError:
            continue
    return []


def _argument(word: str) -> str:
    """Give an argument as the kernel gets it."""
    return f'"{word}"' if " " in word else word
