"""How a virtual machine is started: firmware, accelerator, command line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from image_composer.errors import ToolError, VerifyError
from image_composer.run import Runner
from image_composer.spec.image import Architecture
from image_composer.verify.platforms import PLATFORMS, Platform
from image_composer.verify.probe import EXIT_PORT, PASSED, probe_rom

QEMU = PLATFORMS[Architecture.X86_64].program
"""The one that can be asked to run a machine under KVM."""

KVM_DEVICE = Path("/dev/kvm")

PROBE_SECONDS = 3.0
"""What the probe machine may take: 0.1 s where KVM works, so this leaves room for a busy host."""


class Accelerator(StrEnum):
    """What runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Firmware:
    """A UEFI firmware in two parts."""

    code: Path
    variables: Path
    """The variable store; a machine writes to it, so each gets a copy."""

    secure: bool = False
    """Whether it has Secure Boot, and guards its variables by the processor's system management mode."""

    kept: bool = False
    """Whether the store is one machine's own, which writes to it: what it keeps there is there at its next start."""


class Drive(StrEnum):
    """What a medium is in."""

    CD = "cd"
    USB = "usb"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine that an image is started on."""

    accelerator: Accelerator = Accelerator.TCG
    firmware: Firmware | None = None
    """UEFI; the machine has a BIOS when absent."""

    memory_mib: int = 1024
    """MiB; a general-purpose image unpacks its initramfs in less than half of it."""

    cpus: int = 2
    snapshot: bool = True
    """Whether writes go to a temporary file, so that the image stays as it is."""

    ssh_port: int | None = None
    """Port of 127.0.0.1 that leads to the machine's SSH server."""

    ssh_server_port: int = 22
    """Port that the server listens on."""

    medium: Path | None = None
    """A medium that the machine starts from before its disk; never written to."""

    medium_drive: Drive = Drive.CD
    """What the medium is in."""

    further_disks: tuple[Path, ...] = ()
    """Raw disks beside the first one, written to as `snapshot` says."""

    extra: tuple[str, ...] = ()
    """Further arguments for QEMU."""

    architecture: Architecture = Architecture.X86_64

    @property
    def platform(self) -> Platform:
        """What QEMU is asked for."""
        return PLATFORMS[self.architecture]


class Console(StrEnum):
    """Where the first serial port leads."""

    CAPTURED = "captured"
    """QEMU's standard output and input, byte for byte."""

    TERMINAL = "terminal"
    """The user's terminal: Ctrl-A C is QEMU's monitor, Ctrl-A X ends the machine, and so does Ctrl-C."""


def find_firmware(
    root: Path = Path("/"), *, secure: bool = False, architecture: Architecture = Architecture.X86_64
) -> Firmware:
    """Find the UEFI firmware for virtual machines that is installed below a root.

    Args:
        root: where to look.
        secure: whether it must have Secure Boot; without, it is one that hasn't.
        architecture: of the machine; none but x86_64 is known with Secure Boot.

    Raises:
        VerifyError: VERIFY_NO_FIRMWARE.
    """
    platform = PLATFORMS[architecture]
    for code, variables in platform.secure_firmware if secure else platform.firmware:
        if (root / code).is_file() and (root / variables).is_file():
            return Firmware(root / code, root / variables, secure)
    raise VerifyError(
        "VERIFY_NO_FIRMWARE",
        f"no UEFI firmware {'with Secure Boot ' if secure else ''}for machines of {architecture} was found here",
        hint=f"install {platform.package}",
    )


def choose_accelerator(runner: Runner, architecture: Architecture = Architecture.X86_64) -> Accelerator:
    """Give KVM where it was seen working, TCG elsewhere; the probe that shows it is one for x86_64."""
    return Accelerator.KVM if architecture is Architecture.X86_64 and kvm_works(runner) else Accelerator.TCG


def kvm_works(runner: Runner, *, device: Path = KVM_DEVICE, qemu: str = QEMU, limit: float = PROBE_SECONDS) -> bool:
    """Say whether KVM runs a machine here; tried with a real one.

    Args:
        runner: runs QEMU.
        device: the kernel's KVM device.
        qemu: the program.
        limit: seconds after which a machine that has not come to its end is killed and counts as failed.
    """
    if not os.access(device, os.R_OK | os.W_OK):
        return False
    return probe_runs(runner, Accelerator.KVM, qemu=qemu, limit=limit)


def probe_runs(runner: Runner, accelerator: Accelerator, *, qemu: str, limit: float) -> bool:
    """Run the probe machine and say whether it came to its end within the limit."""
    with tempfile.NamedTemporaryFile(prefix="probe-", suffix=".rom") as rom:
        rom.write(probe_rom())
        rom.flush()
        machine = ["-machine", "q35", *_processor(Hardware(accelerator)), "-m", "32", *_BARE]
        device = ["-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"]
        try:
            done = runner.run([qemu, *machine, "-bios", rom.name, *device], check=False, timeout=limit)
        except ToolError:
            return False
    return done.returncode == PASSED


def machine_command(image: Path, hardware: Hardware, console: Console, *, image_format: str = "raw") -> list[str]:
    """Give the command that starts a machine from an image.

    Args:
        image: the disk.
        hardware: the machine.
        console: where its serial port leads.
        image_format: QEMU's name of the image's format; given, so that QEMU never guesses it from the content.
    """
    snapshot = "on" if hardware.snapshot else "off"
    drive = f"if=none,id=disk,file={_value(image.absolute())},format={image_format},snapshot={snapshot},discard=unmap"
    server = f":{hardware.ssh_server_port}"
    forward = "" if hardware.ssh_port is None else f",hostfwd=tcp:127.0.0.1:{hardware.ssh_port}-{server}"
    return [
        hardware.platform.program,
        *_machine(hardware),
        *_processor(hardware),
        *("-smp", str(hardware.cpus)),
        *("-m", str(hardware.memory_mib)),
        *_BARE,
        *_flash(hardware.firmware),
        *("-drive", drive),
        *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
        *_further_disks(hardware.further_disks, snapshot),
        *_medium(hardware),
        *("-netdev", f"user,id=net{forward}"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),  # no ROM: nothing is to be booted from the network
        *("-object", "rng-random,id=rng,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng"),
        *_serial(console),
        *hardware.extra,
    ]


_BARE = ("-nodefaults", "-no-user-config", "-display", "none")
"""No device, file or window that the command line doesn't name."""


def _further_disks(disks: Sequence[Path], snapshot: str) -> Sequence[str]:
    words: list[str] = []
    for number, disk in enumerate(disks):
        name = f"disk{number}"
        drive = f"if=none,id={name},file={_value(disk.absolute())},format=raw,snapshot={snapshot},discard=unmap"
        words += ["-drive", drive, "-device", f"virtio-blk-pci,drive={name}"]
    return words


def _medium(hardware: Hardware) -> Sequence[str]:
    if hardware.medium is None:
        return ()
    drive = f"if=none,id=medium,file={_value(hardware.medium.absolute())},format=raw,readonly=on"
    if hardware.medium_drive is Drive.CD:
        return ("-drive", f"{drive},media=cdrom", "-device", "ide-cd,drive=medium,bootindex=0")
    stick = "usb-storage,drive=medium,removable=on,bootindex=0"
    return ("-drive", drive, "-device", "qemu-xhci", "-device", stick)


def _processor(hardware: Hardware) -> Sequence[str]:
    if hardware.accelerator is Accelerator.KVM:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", hardware.platform.processor)


def _machine(hardware: Hardware) -> Sequence[str]:
    machine = hardware.platform.machine
    if hardware.firmware is None or not hardware.firmware.secure:
        return ("-machine", machine)
    # Only the firmware, in system management mode, may write to its variables: that is what makes them trustworthy.
    guarded = ("-global", "driver=cfi.pflash01,property=secure,value=on")
    return ("-machine", f"{machine},smm=on", *guarded, "-global", "ICH9-LPC.disable_s3=1")


def _flash(firmware: Firmware | None) -> Sequence[str]:
    if firmware is None:
        return ()
    code = f"if=pflash,unit=0,format=raw,readonly=on,file={_value(firmware.code)}"
    return ("-drive", code, "-drive", f"if=pflash,unit=1,format=raw,file={_value(firmware.variables)}")


def _serial(console: Console) -> Sequence[str]:
    if console is Console.CAPTURED:
        return ("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
    terminal = "stdio,id=console,mux=on,signal=on"
    return ("-chardev", terminal, "-serial", "chardev:console", "-mon", "chardev=console")


def _value(path: Path) -> str:
    """Give a path as an option's value: QEMU ends values at a comma that is not doubled."""
    return str(path).replace(",", ",,")
