"""GRUB in the root: what it is to do, and the core that the firmware starts, made of the image's own modules.

The configuration lies where the distribution's tools write theirs (grub-mkconfig, update-grub), and /etc/default/grub
makes what they write start the kernel as ours does. Nothing is remembered between two starts: there is no grubenv.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from image_composer.disk.filesystems import filesystem_uuid
from image_composer.disk.identity import Identity
from image_composer.errors import AssemblyError
from image_composer.manifest import GrubFacts
from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.root.sandbox import BARE_EXCHANGE, EXCHANGE, Sandbox
from image_composer.spec.disk import BootLoader, Partition
from image_composer.spec.image import Architecture

UEFI_CORE = "grub-uefi.img"
BIOS_CORE = "grub-bios.img"
BOOT_SECTOR = "boot.img"
"""Files of the exchange folder and of `boot/`; the last is GRUB's own name."""

SETTINGS = "/etc/default/grub"

TIMEOUT = 1
"""Seconds in which a key stops GRUB from starting the kernel."""

PLATFORMS: Mapping[Architecture, str] = {Architecture.X86_64: "x86_64-efi", Architecture.AARCH64: "arm64-efi"}
"""GRUB's names of what it runs on with UEFI."""

BIOS_PLATFORM = "i386-pc"

NEEDED = ("ext2", "linux", "normal", "part_gpt", "search_fs_uuid")
"""Modules without which nothing would start."""

WELCOME = (
    "all_video", "bli", "boot", "cat", "chain", "configfile", "echo", "efi_gop", "efifwsetup", "fat", "font", "gettext",
    "gfxterm", "gzio", "halt", "help", "keystatus", "loadenv", "ls", "minicmd", "part_msdos", "probe", "reboot",
    "regexp", "search", "search_fs_file", "search_label", "serial", "sleep", "terminal", "test", "true",
)  # fmt: skip
"""Modules that the distributions' own configurations ask for, or people at GRUB's prompt; none is on every platform and
in every version. They are in the core: /boot holds none."""

BARE_WORD = re.compile(r"[A-Za-z0-9_./:=,@%+-]+")
"""Words that mean to GRUB's shell what they are."""

SERIAL_CONSOLE = re.compile(r"ttyS([0-3])(?:,([0-9]+)(?:[neo][5-8])?r?)?")
"""Serial ports as the kernel names them that GRUB can use as well."""


@dataclass(frozen=True, slots=True)
class BootPlace:
    """The file system that GRUB reads, as it finds it."""

    number: int
    """Of its partition, from 1."""

    uuid: str
    below: str
    """Where it is mounted, without a slash at the end: what is to be taken off paths, as GRUB mounts nothing."""

    def path(self, path: str) -> str:
        """Give GRUB's path of a file of the root."""
        return path.removeprefix(self.below)


def boot_place(partitions: Sequence[Partition], identity: Identity) -> BootPlace:
    """Give where /boot is: a partition of its own, or the root."""
    found = {partition.mount_point: (number, partition) for number, partition in enumerate(partitions, start=1)}
    number, partition = found["/boot"] if "/boot" in found else found["/"]
    below = "" if partition.mount_point == "/" else "/boot"
    return BootPlace(number, filesystem_uuid(partition.filesystem, partition.label, identity), below)


def early_configuration(place: BootPlace, folder: str) -> str:
    """Give what the core does first: find its configuration, on the disk that it was started from if it can be."""
    return f"search.fs_uuid {place.uuid} root hd0,gpt{place.number}\nset prefix=($root){place.path(folder)}\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """What GRUB starts."""

    title: str
    kernel_version: str
    kernel: str
    """Path in the root."""

    initrd: str
    """Path in the root."""

    command_line: str


def configuration(entry: Entry, place: BootPlace) -> str:
    """Give the text of grub.cfg."""
    words = " ".join(map(quoted, kernel_words(entry.command_line)))
    lines = [
        f"# Written with the image. The distribution's tools (grub-mkconfig) write it anew, by {SETTINGS}.",
        *terminals(entry.command_line).commands(),
        "set default=0",
        f"set timeout={TIMEOUT}",
        "",
        f"menuentry {quoted(entry.title)} {{",
        f"\techo {quoted(f'Loading Linux {entry.kernel_version} ...')}",
        f"\tlinux {quoted(place.path(entry.kernel))} {words}",
        f"\tinitrd {quoted(place.path(entry.initrd))}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def settings(command_line: str) -> str:
    """Give the text of /etc/default/grub, a shell script: with it, grub-mkconfig writes the same command line."""
    own = [word for word in kernel_words(command_line) if not word.startswith("root=")]
    # grub-mkconfig puts root= and ro before what it is given.
    arguments = own[1:] if own[:1] == ["ro"] else own
    found = terminals(command_line)
    lines = [
        "# Written with the image, for grub-mkconfig (update-grub).",
        "GRUB_DEFAULT=0",
        f"GRUB_TIMEOUT={TIMEOUT}",
        'GRUB_DISTRIBUTOR="$(. /etc/os-release && echo "$ID")"',
        f"GRUB_CMDLINE_LINUX={shlex.quote(' '.join(map(quoted, arguments)))}",
        'GRUB_CMDLINE_LINUX_DEFAULT=""',
        "GRUB_DISABLE_LINUX_UUID=true",
        "GRUB_DISABLE_LINUX_PARTUUID=false",
        "GRUB_DISABLE_OS_PROBER=true",
    ]
    if found.names:
        lines.append(f'GRUB_TERMINAL="{" ".join(found.names)}"')
    if found.serial:
        lines.append(f'GRUB_SERIAL_COMMAND="{found.serial}"')
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Terminals:
    """What GRUB shows itself on."""

    names: Sequence[str]
    serial: str | None
    """Command that makes a serial port a terminal."""

    def commands(self) -> list[str]:
        """Give the commands; without any, GRUB takes the firmware's console."""
        if not self.names:
            return []
        names = " ".join(self.names)
        return [*([self.serial] if self.serial else []), f"terminal_input {names}", f"terminal_output {names}"]


def terminals(command_line: str) -> Terminals:
    """Give the terminals that the kernel's consoles stand for; of serial ports the last one, GRUB uses one at once."""
    consoles = [word.removeprefix("console=") for word in command_line.split() if word.startswith("console=")]
    ports = [found for console in consoles if (found := SERIAL_CONSOLE.fullmatch(console))]
    if not ports:
        return Terminals(["console"] if consoles else [], None)
    serial = f"serial --unit={ports[-1][1]} --speed={ports[-1][2] or '9600'}"
    screen = any(console.startswith("tty") and console[3:].isdigit() for console in consoles)
    return Terminals(["console", "serial"] if screen else ["serial"], serial)


def kernel_words(command_line: str) -> list[str]:
    """Give the words of a command line without quotes around those with blanks: GRUB puts them there itself."""
    return [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"|[^ "])+', command_line)]


def quoted(word: str) -> str:
    """Give a word as GRUB's shell takes it."""
    return word if BARE_WORD.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def root_operations(facts: GrubFacts, entry: Entry, place: BootPlace) -> list[Operation]:
    """Say what to write into the root."""
    return [
        operations.write(f"{facts.folder}/grub.cfg", configuration(entry, place), mode=0o600),
        operations.write(SETTINGS, settings(entry.command_line)),
    ]


def make_cores(
    sandbox: Sandbox, facts: GrubFacts, architecture: Architecture, loader: BootLoader, place: BootPlace
) -> list[str]:
    """Make what the firmware starts, and give the names of the files in the exchange folder.

    Raises:
        AssemblyError: ASSEMBLE_NO_GRUB_MODULE.
        ToolError: grub-mkimage failed.
    """
    wanted = {UEFI_CORE: PLATFORMS[architecture]} if loader.uefi else {}
    if loader.bios:
        wanted[BIOS_CORE] = BIOS_PLATFORM
    early = operations.write(f"{BARE_EXCHANGE}/grub-early.cfg", early_configuration(place, facts.folder))
    sandbox.act("apply", exchange=True, operations=[early])
    for name, platform in wanted.items():
        folder = f"{facts.modules}/{platform}"
        [there] = sandbox.act("match", patterns=[f"{folder}/*.mod"])["paths"].values()
        modules = core_modules([PurePosixPath(path).stem for path in there], platform)
        argv = [facts.program, "-O", platform, "-d", folder, "-p", place.path(facts.folder)]
        sandbox.run([*argv, "-c", f"{EXCHANGE}/grub-early.cfg", "-o", f"{EXCHANGE}/{name}", *modules])
    if not loader.bios:
        return list(wanted)
    sector = {f"{facts.modules}/{BIOS_PLATFORM}/boot.img": f"{BARE_EXCHANGE}/{BOOT_SECTOR}"}
    sandbox.act("collect", exchange=True, files=sector)
    return [*wanted, BOOT_SECTOR]


def core_modules(there: Sequence[str], platform: str) -> list[str]:
    """Give the modules that the core is made of, out of those that the image has.

    Raises:
        AssemblyError: ASSEMBLE_NO_GRUB_MODULE.
    """
    needed = (*NEEDED, "biosdisk") if platform == BIOS_PLATFORM else NEEDED
    missing = [name for name in needed if name not in there]
    if missing:
        raise AssemblyError(
            "ASSEMBLE_NO_GRUB_MODULE",
            f"the image's GRUB has no module {missing[0]} for {platform}",
            hint="build with the distribution's own GRUB",
        )
    return sorted({*needed, *(name for name in WELCOME if name in there)})
