"""Whether this machine runs programs of another architecture, which building images for it takes.

The kernel has them run by QEMU's user mode emulation when somebody has told it to (binfmt_misc). It must have opened
the emulator then and not look for it when a program starts (flag F), since a root has none. From Linux 6.7 on a user
namespace can have handlers of its own: the sandbox brings one that nobody else sees, and the machine stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from image_composer.run import BASE_ENVIRONMENT
from image_composer.spec.image import Architecture

HANDLERS = Path("/proc/sys/fs/binfmt_misc")
"""The kernel's list, a file for each handler; empty in most containers, whatever the kernel knows."""

OWN_HANDLERS_SINCE = (6, 7)
"""Version of Linux that lets a user namespace have handlers of its own."""

EM_X86_64, EM_AARCH64 = 62, 183
"""Machines of ELF, elf.h."""

MACHINES: Mapping[Architecture, int] = {Architecture.X86_64: EM_X86_64, Architecture.AARCH64: EM_AARCH64}

ENDS_WELL = 42
"""Exit status of the smallest program."""

_CODE: Mapping[Architecture, bytes] = {
    Architecture.X86_64: bytes.fromhex("bf2a000000 b83c000000 0f05"),  # mov $42,%edi; mov $60,%eax; syscall
    Architecture.AARCH64: bytes.fromhex("400580d2 a80b80d2 010000d4"),  # mov x0,#42; mov x8,#93; svc #0
}

_HEADER_SIZE, _PROGRAM_HEADER_SIZE, _LOADED_AT = 64, 56, 0x400000

PROBE_SECONDS = 10.0
"""How long the smallest program may take; it takes milliseconds."""


class Way(StrEnum):
    """How programs of an architecture are run."""

    NATIVE = "native"
    """By the processor."""

    HANDLER = "handler"
    """By what the kernel was told of before."""

    OWN_HANDLER = "own-handler"
    """By an emulator that the sandbox tells the kernel of, for itself alone."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What the kernel was told to have programs of a kind run by."""

    name: str
    interpreter: str
    flags: str
    offset: int
    magic: bytes
    mask: bytes
    enabled: bool

    def takes(self, start: bytes) -> bool:
        """Say whether programs that begin so are its own."""
        found = start[self.offset : self.offset + len(self.magic)]
        mask = self.mask or b"\xff" * len(self.magic)
        return len(found) == len(self.magic) and all(
            (byte ^ wanted) & counts == 0 for byte, wanted, counts in zip(found, self.magic, mask, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """What counts of the machine that builds."""

    name: str
    """Its architecture, as the kernel calls it."""

    kernel: tuple[int, int]
    """Version of Linux."""

    handlers: Sequence[Handler] | None
    """None where the list can't be seen."""

    runs: Callable[[Architecture], bool]
    """Tries to run a program of an architecture; asked only where the list can't be seen."""

    emulator: Callable[[Architecture], Path | None]
    """Gives the emulator of an architecture that is installed here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How programs of an architecture are run on a machine, or why they are not."""

    way: Way | None
    reason: str
    emulator: Path | None = None
    """Of the sandbox's own handler."""


def way_to_run(wanted: Architecture, machine: Machine) -> Answer:
    """Say how programs of an architecture can be run in roots; what the machine's owner has set up comes first."""
    if wanted == machine.name:
        return Answer(Way.NATIVE, f"this machine is {machine.name}")
    mine = [handler for handler in machine.handlers or () if handler.takes(smallest_program(wanted))]
    usable = [handler for handler in mine if handler.enabled and "F" in handler.flags]
    if usable:
        return Answer(Way.HANDLER, f"the kernel has them run by {usable[0].interpreter}")
    if machine.handlers is None and machine.runs(wanted):
        return Answer(Way.HANDLER, "the kernel has them run by an emulator")
    emulator = machine.emulator(wanted)
    if emulator is not None and machine.kernel >= OWN_HANDLERS_SINCE:
        return Answer(Way.OWN_HANDLER, f"the sandbox has them run by {emulator}", emulator)
    return Answer(None, _obstacle(wanted, mine, emulator))


def _obstacle(wanted: Architecture, mine: Sequence[Handler], emulator: Path | None) -> str:
    """Say why programs of an architecture don't run."""
    if emulator is not None:
        own = f"only Linux 6.7 and later would let the sandbox use {emulator} by itself"
    else:
        own = f"there is no {emulator_name(wanted)}"
    if not mine:
        return f"the kernel knows of nothing that runs programs of {wanted}, and {own}"
    if not mine[0].enabled:
        return f"the kernel's handler {mine[0].name} is disabled, and {own}"
    return (
        f"the kernel's handler {mine[0].name} looks for {mine[0].interpreter} in the image's root, where it isn't "
        f"(it has no flag F), and {own}"
    )


def hint(wanted: Architecture) -> str:
    """Say what makes a machine able to run programs of an architecture."""
    node = {Architecture.X86_64: "amd64", Architecture.AARCH64: "arm64"}[wanted]
    return (
        f"install QEMU's user mode emulation (Debian qemu-user-static, Fedora qemu-user-static-{wanted}), before "
        "Linux 6.7 with binfmt-support, which tells the kernel; or build on a machine of that architecture: in a "
        f"cluster by build.nodeSelector kubernetes.io/arch: {node}. docs/architectures.md"
    )


def own_handler(wanted: Architecture, emulator: Path) -> str:
    """Give the line that tells the kernel of an emulator: Documentation/admin-guide/binfmt-misc.rst.

    Flags: P, programs get their own name; O, the emulator gets them opened; F, it is opened now.
    """
    start = smallest_program(wanted)[: len(_COUNTS)]
    magic = bytes(byte & counts for byte, counts in zip(start, _COUNTS, strict=True))
    return f":{emulator_name(wanted)}:M:0:{_escaped(magic)}:{_escaped(_COUNTS)}:{emulator}:POF"


_COUNTS = bytes.fromhex("ffffffffffffff00 ffffffffffffffff feffffff")
"""Bits of an ELF header that tell the machine: not the operating system's ABI, and programs are of type 2 or 3."""


def _escaped(octets: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in octets)


def emulator_name(wanted: Architecture) -> str:
    """Give the name of the program that runs others; it is linked statically, as it must be in a foreign root."""
    return f"qemu-{wanted}-static"


def smallest_program(architecture: Architecture) -> bytes:
    """Give a program that does nothing but end with `ENDS_WELL`: an ELF header, one segment, three instructions."""
    code = _CODE[architecture]
    start = _HEADER_SIZE + _PROGRAM_HEADER_SIZE
    size = start + len(code)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<HHIQQQIHHHHHH",
        *(2, MACHINES[architecture], 1, _LOADED_AT + start, _HEADER_SIZE, 0, 0),
        *(_HEADER_SIZE, _PROGRAM_HEADER_SIZE, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, 0x10000)
    return ident + header + segment + code


def read_handlers(folder: Path = HANDLERS) -> list[Handler] | None:
    """Read the kernel's list; None where it can't be seen."""
    try:
        if (folder / "status").read_text().strip() != "enabled":
            return []
        texts = {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.name not in OWN_FILES}
    except OSError:
        return None
    return [found for name, text in texts.items() if (found := parse_handler(name, text)) is not None]


OWN_FILES = ("register", "status")
"""Files of the list that are no handlers."""


def parse_handler(name: str, text: str) -> Handler | None:
    """Read what the kernel says of a handler; None for those that go by a file's extension."""
    lines = text.splitlines()
    fields = {key.rstrip(":"): value for key, _, value in (line.partition(" ") for line in lines)}
    try:
        magic, mask = bytes.fromhex(fields["magic"]), bytes.fromhex(fields.get("mask", ""))
        offset = int(fields["offset"])
    except (KeyError, ValueError):
        return None
    if mask and len(mask) != len(magic):
        return None
    interpreter, flags = fields.get("interpreter", ""), fields.get("flags", "")
    return Handler(name, interpreter, flags, offset, magic, mask, enabled="enabled" in lines)


def runs_here(architecture: Architecture) -> bool:
    """Try to run the smallest program of an architecture."""
    with tempfile.TemporaryDirectory(prefix="foreign-") as folder:
        program = Path(folder, "program")
        program.write_bytes(smallest_program(architecture))
        program.chmod(0o700)
        try:
            done = subprocess.run([program], env={}, capture_output=True, check=False, timeout=PROBE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == ENDS_WELL


def find_emulator(architecture: Architecture) -> Path | None:
    """Look for the emulator of an architecture on the path that programs are run with."""
    found = shutil.which(emulator_name(architecture), path=BASE_ENVIRONMENT["PATH"])
    return Path(found) if found is not None else None


def kernel_version(release: str) -> tuple[int, int]:
    """Give the first two numbers of a kernel's release; zeros for one that has none."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def this_machine() -> Machine:
    """Look at this machine."""
    system = os.uname()
    return Machine(system.machine, kernel_version(system.release), read_handlers(), runs_here, find_emulator)
