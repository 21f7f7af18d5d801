"""What composing, starting and testing images needs of the machine: a table of programs and files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from image_composer.spec.image import Architecture
from image_composer.verify.platforms import PLATFORMS


class Need(StrEnum):
    """What something is needed for."""

    BUILD = "build"
    SIGN = "sign"
    BOOT = "boot"
    FOREIGN = "foreign"
    TESTS = "tests"


@dataclass(frozen=True, slots=True)
class Packages:
    """Names of the package that brings something, by distribution; None where we know of none."""

    debian: str
    fedora: str | None
    azure_linux: str | None


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that a package of the host brings."""

    name: str
    """A program on the path; or what the files at `places` are called among people."""

    need: Need
    reason: str
    packages: Packages
    places: tuple[str, ...] = ()
    """Paths of which one must exist; empty when a program is meant."""

    rootless: bool = False
    """Whether only a user who is not root needs it."""


def _everywhere(name: str) -> Packages:
    return Packages(debian=name, fedora=name, azure_linux=name)


CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
FIRMWARE = tuple(f"/{code}" for code, _ in PLATFORMS[Architecture.X86_64].firmware)
FIRMWARE_AARCH64 = tuple(f"/{code}" for code, _ in PLATFORMS[Architecture.AARCH64].firmware)
BIOS_GRUB = ("/usr/lib/grub/i386-pc/boot_hybrid.img",)

REQUIREMENTS = (
    Requirement(
        "certificates", Need.BUILD, "checks who a mirror is", _everywhere("ca-certificates"), places=CERTIFICATES
    ),
    Requirement("gpgv", Need.BUILD, "verifies the signatures of repositories", Packages("gpgv", "gnupg2", "gnupg2")),
    Requirement("grub-mkimage", Need.BUILD, "starts installer ISOs on a BIOS",
                Packages("grub-common", "grub2-tools-minimal", "grub2")),
    Requirement("GRUB for BIOS", Need.BUILD, "starts installer ISOs on a BIOS",
                Packages("grub-pc-bin", "grub2-pc-modules", "grub2-pc"), places=BIOS_GRUB),
    Requirement("mcopy", Need.BUILD, "fills the EFI system partition", _everywhere("mtools")),
    Requirement("mke2fs", Need.BUILD, "makes ext4 file systems", _everywhere("e2fsprogs")),
    Requirement("mkfs.vfat", Need.BUILD, "makes the EFI system partition", _everywhere("dosfstools")),
    Requirement("newuidmap", Need.BUILD, "maps user ids into the sandbox",
                Packages("uidmap", "shadow-utils", "shadow-utils"), rootless=True),
    Requirement("mkfs.erofs", Need.BUILD, "makes roots that are only read", _everywhere("erofs-utils")),
    Requirement("mksquashfs", Need.BUILD, "makes roots that are only read", _everywhere("squashfs-tools")),
    Requirement("qemu-img", Need.BUILD, "converts images into other formats",
                Packages("qemu-utils", "qemu-img", "qemu-img")),
    Requirement("rpm", Need.BUILD, "installs rpm packages", _everywhere("rpm")),
    Requirement("sfdisk", Need.BUILD, "writes partition tables", Packages("fdisk", "util-linux", "util-linux")),
    Requirement("tar", Need.BUILD, "unpacks packages with their owners", _everywhere("tar")),
    Requirement("unshare", Need.BUILD, "enters namespaces", _everywhere("util-linux")),
    Requirement("veritysetup", Need.BUILD, "hashes the root of immutable images",
                Packages("cryptsetup-bin", "veritysetup", "veritysetup")),
    Requirement("xorriso", Need.BUILD, "writes installer ISOs", _everywhere("xorriso")),
    Requirement("xz", Need.BUILD, "unpacks packages and indexes", Packages("xz-utils", "xz", "xz")),
    Requirement("zstd", Need.BUILD, "unpacks packages, compresses images", _everywhere("zstd")),
    Requirement("openssl", Need.SIGN, "reads the key for Secure Boot", _everywhere("openssl")),
    Requirement("osslsigncode", Need.SIGN, "signs what starts the machine",
                Packages("osslsigncode", "osslsigncode", None)),
    Requirement("qemu-system-x86_64", Need.BOOT, "runs the image in the boot test",
                Packages("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86-core")),
    Requirement("UEFI firmware", Need.BOOT, "starts the image in the boot test",
                Packages("ovmf", "edk2-ovmf", "edk2-ovmf"), places=FIRMWARE),
    Requirement("qemu-aarch64-static", Need.FOREIGN, "runs programs of aarch64",
                Packages("qemu-user-static", "qemu-user-static-aarch64", None)),
    Requirement("qemu-system-aarch64", Need.FOREIGN, "runs images of aarch64 in the boot test",
                Packages("qemu-system-arm", "qemu-system-aarch64-core", None)),
    Requirement("UEFI firmware for aarch64", Need.FOREIGN, "starts images of aarch64 in the boot test",
                Packages("qemu-efi-aarch64", "edk2-aarch64", None), places=FIRMWARE_AARCH64),
    Requirement("cpio", Need.TESTS, "looks into initramfs archives", _everywhere("cpio")),
    Requirement("createrepo_c", Need.TESTS, "writes the metadata of rpm repositories that tests make",
                Packages("createrepo-c", "createrepo_c", "createrepo_c")),
    Requirement("gpg", Need.TESTS, "signs the repositories that tests make", Packages("gnupg", "gnupg2", "gnupg2")),
    Requirement("mmdebstrap", Need.TESTS, "the peer in the benchmark", Packages("mmdebstrap", None, None)),
    Requirement("objdump", Need.TESTS, "looks into UKIs", _everywhere("binutils")),
    Requirement("rpmbuild", Need.TESTS, "makes the rpm packages that tests install",
                Packages("rpm", "rpm-build", "rpm-build")),
    Requirement("rpmsign", Need.TESTS, "signs them", Packages("rpm", "rpm-sign", "rpm-build")),
    Requirement("sbverify", Need.TESTS, "checks signatures for Secure Boot",
                Packages("sbsigntool", "sbsigntools", None)),
    Requirement("ssh-keygen", Need.TESTS, "makes keys for user accounts",
                Packages("openssh-client", "openssh", "openssh-clients")),
)  # fmt: skip
"""Everything that packages of the host bring; builder/setup/host-packages.txt has the same for Debian."""
