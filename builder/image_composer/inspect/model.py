"""What is found in an image, as `image-composer inspect --json` prints it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from image_composer.spec.base import SpecModel


class PartitionFound(SpecModel):
    """One entry of the partition table."""

    number: int
    label: str
    """GPT name; empty in tables that know none."""

    type: str
    """Type GUID, or the one-byte type of an MBR table in hex."""

    role: str | None
    """What the type stands for, as the spec writes it; None for types that images of ours never have."""

    uuid: str | None
    start: int
    """Byte of the image where it begins."""

    size: int
    """Bytes."""

    filesystem: str | None
    """File system or format recognised in it."""


class UkiFound(SpecModel):
    """A unified kernel image on the EFI system partition."""

    path: str
    kernel_version: str | None
    command_line: str | None


class SignatureFound(SpecModel):
    """A signature for Secure Boot."""

    signer: str | None
    """Subject of the certificate, for example `CN=Edge Secure Boot`; None when the signature can't be read."""

    fingerprint: str | None
    """SHA-256 of the certificate, in hex."""

    holds: bool
    """Whether it was made with the certificate's key, over exactly this program. Whether to trust the certificate is
    the firmware's to say."""


class ProgramFound(SpecModel):
    """An EFI program on the EFI system partition: a boot loader or a unified kernel image."""

    path: str
    signatures: list[SignatureFound]


class GrubFound(SpecModel):
    """What GRUB starts when nobody chooses."""

    path: str
    """Its configuration, below the root."""

    kernel: str | None
    """As the configuration has it: below the file system that /boot is on."""

    initrd: str | None
    kernel_version: str | None
    command_line: str | None


class PackageFound(SpecModel):
    """An installed package."""

    name: str
    version: str
    architecture: str


class ImageReport(SpecModel):
    """What an image holds."""

    report_version: Literal[1] = 1
    file: str
    format: str = "raw"
    """Form in which it was given, as the spec writes it."""

    compression: str = "none"
    """How the file is compressed."""

    size: int
    """Bytes of the disk."""

    partition_table: str
    """`gpt` or `dos`."""

    disk_id: str
    partitions: list[PartitionFound]
    os_release: dict[str, str]
    """Fields of the root's os-release; empty when no root could be read."""

    hostname: str | None
    kernel_version: str | None
    """Of the first unified kernel image, or of what GRUB starts; without one, the last folder of modules by name."""

    boot_loader: str | None = None
    """As the spec writes it; None for one that is not known."""

    firmware: list[str] = Field(default_factory=list)
    """What can start it, `uefi` or `bios`; empty when nothing for either was found."""

    root_hash: str | None = None
    """By which dm-verity checks an immutable root, as the first command line with one says; None when it can change."""

    ukis: list[UkiFound]
    grub: GrubFound | None = None
    programs: list[ProgramFound]
    """EFI programs on the EFI system partition, and who has signed them."""

    boot_files: list[str]
    """Paths on the EFI system partition."""

    fstab: list[str]
    """Lines of the root's fstab without comments."""

    packages: list[PackageFound]
    """Sorted by name."""
