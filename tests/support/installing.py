"""The installer's script on a machine made of files: folders in place of /sys and /dev, files in place of disks."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from image_composer.formats.iso.medium import InstallerParts
from image_composer.root.installer import NAME, SCRIPT
from image_composer.settings import MIB
from image_composer.spec.outputs import Installer
from support.disks import say
from support.pe import make_stub

LABEL = "INSTALL_TEST"
SECONDS = 60


def installer_parts(boot: Path) -> InstallerParts:
    """Make files that stand for those that start an image."""
    boot.mkdir()
    (boot / "stub").write_bytes(make_stub())
    for name in ("kernel", "initrd", "os-release", NAME):
        (boot / name).write_bytes(name.encode() * 1001)
    return InstallerParts(boot, NAME, "6.1.0-test", ["ro", "console=ttyS0"], Installer(), "edge-1.0", grow=2)


@dataclass(frozen=True)
class Ended:
    """How an installation ended."""

    action: str
    """What the machine was told at the end: `poweroff` or `reboot`."""

    console: str
    """All that was said."""


@dataclass
class FileMachine:
    """A machine with a medium in its drive, and disks."""

    folder: Path
    raw: Path
    """The image on the medium."""

    arguments: dict[str, str] = field(default_factory=dict)
    """Of the kernel, without `installer.`."""

    def __post_init__(self) -> None:
        for name in ("sys/block", "sys/class/block", "sys/class/tty/console", "dev/disk/by-label", "medium/image"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "sys/class/tty/console/active").write_text("tty0 ttyS0\n")
        (self.folder / "dev/ttyS0").touch()
        self.add("sr0", MIB)
        (self.folder / "dev/disk/by-label" / LABEL).symlink_to("../../sr0")
        say("zstd", "-q", self.raw, "-o", self.packed)
        self.arguments = {
            "title": "edge-1.0",
            "medium": LABEL,
            "sha256": hashlib.sha256(self.raw.read_bytes()).hexdigest(),
            "size": str(self.raw.stat().st_size),
            "packed-sha256": hashlib.sha256(self.packed.read_bytes()).hexdigest(),
            "packed-size": str(self.packed.stat().st_size),
            **self.arguments,
        }

    @property
    def packed(self) -> Path:
        """The image's file on the medium."""
        return self.folder / "medium/image/disk.zst"

    def disk(self, name: str) -> Path:
        return self.folder / "dev" / name

    def add(self, name: str, size: int, *, below: str = "virtual", **attributes: str) -> Path:
        """Put a blank disk into the machine.

        Args:
            name: the kernel's.
            size: bytes.
            below: device of /sys that it is attached to.
            attributes: what the kernel says about it.
        """
        place = self.folder / "sys/devices" / below / "block" / name
        place.mkdir(parents=True)
        for attribute, value in {"size": str(size // 512), "ro": "0", "removable": "0", **attributes}.items():
            (place / attribute).write_text(f"{value}\n")
        for listed in ("block", "class/block"):
            (self.folder / "sys" / listed / name).symlink_to(place)
        with self.disk(name).open("wb") as stream:
            stream.truncate(size)
        return self.disk(name)

    def install(self, **arguments: str) -> Ended:
        """Let the installer do its work by itself."""
        done = subprocess.run(
            self._command(), env=self._environment(arguments), capture_output=True, timeout=SECONDS, check=False
        )
        assert (self.folder / "ended").exists(), done.stderr.decode()
        console = (self.folder / "dev/ttyS0").read_text()
        return Ended((self.folder / "ended").read_text().strip(), console)

    @contextmanager
    def operated(self, **arguments: str) -> Iterator[Operator]:
        """Start the installer with somebody at its serial console."""
        ours, theirs = pty.openpty()
        (self.folder / "dev/ttyS0").unlink()
        (self.folder / "dev/ttyS0").symlink_to(os.ttyname(theirs))
        process = subprocess.Popen(
            self._command(), env=self._environment(arguments), stderr=subprocess.DEVNULL, process_group=0
        )
        try:
            yield Operator(ours, process, self.folder / "ended")
        finally:
            process.kill()
            process.wait()
            os.close(ours)
            os.close(theirs)

    def _command(self) -> Sequence[str | Path]:
        return ("sh", SCRIPT)

    def _environment(self, arguments: dict[str, str]) -> dict[str, str]:
        given = {**self.arguments, **{name.replace("_", "-"): value for name, value in arguments.items()}}
        line = " ".join(f"installer.{name}={value}" for name, value in given.items())
        (self.folder / "cmdline").write_text(f"quiet {line} console=ttyS0\n")
        end = self.folder / "end"
        end.write_text(f'#!/bin/sh\necho "$1" >{self.folder}/ended\n')
        end.chmod(0o755)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "INSTALLER_SYS": str(self.folder / "sys"),
            "INSTALLER_DEV": str(self.folder / "dev"),
            "INSTALLER_RUN": str(self.folder / "run"),
            "INSTALLER_COMMAND_LINE": str(self.folder / "cmdline"),
            "INSTALLER_MEDIUM": str(self.folder / "medium"),
            "INSTALLER_END": str(end),
            "INSTALLER_PATIENCE": "0",
            "INSTALLER_PAUSE": "0",
            "INSTALLER_CHUNK": "4",
        }


@dataclass
class Operator:
    """Somebody at the console."""

    terminal: int
    process: subprocess.Popen[bytes]
    ended: Path
    seen: str = ""

    def sees(self, text: str) -> str:
        """Wait until the console says something; give all that it said before and since the last time."""
        while text not in self.seen:
            self.seen += os.read(self.terminal, 4096).decode()
        found, _, self.seen = self.seen.partition(text)
        return found

    def types(self, text: str) -> None:
        os.write(self.terminal, f"{text}\n".encode())

    def sees_the_end(self) -> str:
        """Wait until the installer ended; give what the machine was told."""
        self.process.wait(SECONDS)
        return self.ended.read_text().strip()
