"""Starts a finished disk on a virtual machine, as its first machine would, and says how that went.

The disk is not written to: the machine gets a layer over it, on a larger disk, as most machines have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from image_composer.report import Reporter
from image_composer.run import Runner
from image_composer.settings import GIB
from image_composer.spec.image import Architecture
from image_composer.verify.boot import SHOWN_LINES, Machine
from image_composer.verify.console import ConsoleText
from image_composer.verify.qemu import Accelerator, Hardware, choose_accelerator, find_firmware
from image_composer.verify.verdict import LOGIN, BootOutcome, BootReport, complaints, failed_units, judge_state, trouble
from image_composer.verify.witness import Statement, has_begun, machine_arguments, read_statement

GROWTH = 1 * GIB
"""Bytes that the machine's disk is larger than the image: partitions that grow have something to grow into."""

MEMORY_MIB = 1024
"""Of the machine; QEMU itself needs about 150 MiB more."""

PATIENCE = 60.0
"""Seconds that a witness may be silent once somebody could log in. It speaks long before that where it is heard."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a start leaves its files."""

    scratch: Path
    """Folder for the layer over the disk."""

    log: Path
    """Gets the console's bytes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What ended the watch."""

    trouble: str | None = None
    statement: Statement | None = None


def boot_test(
    disk: Path,
    place: Place,
    *,
    timeout: float,
    token: str,
    runner: Runner,
    reporter: Reporter,
    bios: bool = False,
    architecture: Architecture = Architecture.X86_64,
) -> BootReport:
    """Start a disk and wait until it has come up, or will not.

    Args:
        disk: raw.
        place: where files go.
        timeout: seconds that it may take.
        token: word that no image can know before.
        runner: runs QEMU.
        reporter: told of the machine and of the time.
        bios: whether the machine has a BIOS instead of UEFI.
        architecture: of the machine.

    Raises:
        VerifyError: VERIFY_NO_FIRMWARE.
        ToolError: QEMU is missing or does not start.
    """
    firmware = None if bios else find_firmware(architecture=architecture)
    accelerator = choose_accelerator(runner, architecture)
    reporter.info(f"starting the image with {accelerator}, which may take {timeout:.0f} s")
    layer, said = place.scratch / "layer.qcow2", place.scratch / "witness"
    said.touch()
    size = disk.stat().st_size + GROWTH
    runner.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk.absolute(), layer, str(size)])
    hardware = Hardware(
        accelerator=accelerator,
        firmware=firmware,
        memory_mib=MEMORY_MIB,
        snapshot=False,
        # A machine that starts anew has panicked, or is no image to be used unattended.
        extra=("-no-reboot", *machine_arguments(str(said).replace(",", ",,"), token, architecture)),
        architecture=architecture,
    )
    began = time.monotonic()
    try:
        with Machine(runner, layer, hardware, log=place.log, image_format="qcow2") as machine:
            ending = machine.watch(_Watch(said, token, timeout=timeout, reporter=reporter), timeout)
            console, ended = machine.console, machine.ended
    finally:
        layer.unlink(missing_ok=True)
    return report_of(ending, console, ended=ended, accelerator=accelerator, seconds=time.monotonic() - began)


def report_of(
    ending: Ending | None, console: str, *, ended: bool, accelerator: Accelerator, seconds: float
) -> BootReport:
    """Judge a start by how it ended.

    Args:
        ending: what ended the watch; None when nothing did.
        console: all that the console said.
        ended: whether the machine ended by itself.
        accelerator: what ran it.
        seconds: how long.
    """
    statement = ending.statement if ending else None
    if ending is None:
        how = "ended by itself" if ended else f"had not come up after {seconds:.0f} s"
        reason: str | None = f"the machine {how}"
    elif ending.trouble:
        reason = ending.trouble
    else:
        reason = judge_state(statement.state, failed_units(statement.failed)) if statement else None
    praise = "systemd says running" if statement else "a login prompt came; nothing else is known of it"
    return BootReport(
        outcome=BootOutcome.FAILED if reason else BootOutcome.PASSED,
        reason=reason or praise,
        accelerator=accelerator,
        seconds=round(seconds, 1),
        marker="witness" if statement else "login" if LOGIN in console else "none",
        state=statement.state if statement else None,
        failed_units=failed_units(statement.failed) if statement else [],
        errors=list(statement.errors) if statement else complaints(console),
        analyze=list(statement.analyze) if statement else [],
        kernel=statement.kernel if statement else None,
    )


def last_lines(console: bytes) -> str:
    """Give the end of what a console said, for an error."""
    lines = ConsoleText().feed(console, final=True).strip().splitlines()[-SHOWN_LINES:]
    return "\n".join("".join(each for each in line if each.isprintable()) for line in lines) or "(nothing)"


class _Watch:
    """Looks at a machine that starts, and says when there is no more to wait for."""

    def __init__(self, said: Path, token: str, *, timeout: float, reporter: Reporter) -> None:
        began = time.monotonic()
        self._said, self._token, self._reporter = said, token, reporter
        self._began, self._timeout = began, timeout
        self._login_at: float | None = None

    def __call__(self, console: str) -> Ending | None:
        now = time.monotonic()
        self._reporter.progress("starting the image", int(now - self._began), int(self._timeout), "s")
        said = self._said.read_bytes().decode("utf-8", "replace")
        statement = read_statement(said, self._token)
        if statement is not None:
            return Ending(statement=statement)
        found = trouble(console)
        if found is not None:
            return Ending(trouble=found)
        if self._login_at is None and LOGIN in console:
            self._login_at = now
        silent = not has_begun(said, self._token)
        if self._login_at is not None and silent and now - self._login_at > PATIENCE:
            return Ending()
        return None
