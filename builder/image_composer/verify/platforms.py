"""The virtual machine of each architecture: what QEMU is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from image_composer.spec.image import Architecture


@dataclass(frozen=True, slots=True)
class Platform:
    """A kind of machine."""

    program: str
    machine: str
    processor: str
    """Where TCG runs it."""

    firmware: tuple[tuple[str, str], ...]
    """UEFI code and its empty variable store, without Secure Boot, the preferred first."""

    secure_firmware: tuple[tuple[str, str], ...]
    """The same with Secure Boot; the variable store knows no key, so that the machine is in setup mode."""

    package: str
    """What brings the firmware, for people."""

    second_port: tuple[str, ...]
    """What makes the character device `witness` a serial port beside the console's."""

    second_port_name: str
    """What Linux calls that port."""


PLATFORMS: Mapping[Architecture, Platform] = {
    Architecture.X86_64: Platform(
        program="qemu-system-x86_64",
        machine="q35",
        # QEMU 7.2 emulates cmpxchg16b wrongly: Linux 6.12 panics at random. QEMU 10 does not.
        processor="max,-cx16",
        firmware=(
            ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian, Ubuntu
            ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),  # Debian before 12, RHEL
            ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora, Azure Linux
            ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
            ("usr/share/qemu/ovmf-x86_64-code.bin", "usr/share/qemu/ovmf-x86_64-vars.bin"),  # openSUSE
            ("usr/share/qemu/edk2-x86_64-code.fd", "usr/share/qemu/edk2-i386-vars.fd"),  # QEMU's own
        ),
        secure_firmware=(
            ("usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian, Ubuntu
            ("usr/share/OVMF/OVMF_CODE.secboot.fd", "usr/share/OVMF/OVMF_VARS.fd"),  # RHEL
            ("usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora, Azure Linux
            ("usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
        ),
        package="OVMF: the package ovmf on Debian, edk2-ovmf on Fedora",
        second_port=("-serial", "chardev:witness"),
        second_port_name="/dev/ttyS1",
    ),
    Architecture.AARCH64: Platform(
        program="qemu-system-aarch64",
        machine="virt",
        # Computing pointer authentication as the architecture has it takes half of TCG's time.
        processor="max,pauth-impdef=on",
        firmware=(
            ("usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),  # Debian, Ubuntu, RHEL
            ("usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "usr/share/edk2/aarch64/vars-template-pflash.raw"),  # Fedora
        ),
        secure_firmware=(),
        package="AAVMF: the package qemu-efi-aarch64 on Debian, edk2-aarch64 on Fedora",
        # The board's second PL011 is for the secure world; a 16550 on PCI is the first of its kind.
        second_port=("-device", "pci-serial,chardev=witness"),
        second_port_name="/dev/ttyS0",
    ),
}
