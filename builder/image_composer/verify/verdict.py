"""How a start went, judged from what the machine said. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from image_composer.spec.base import SpecModel

LOGIN = "login: "
"""A console's prompt: somebody could log in."""

RUNNING = "running"
"""What systemd says when everything has started and nothing has failed."""

TROUBLE: Mapping[str, str] = {
    r"No bootable option or device was found|failed to load Boot0001": "the firmware found nothing to start",
    r"!!!! \w+ Exception Type|(Synchronous|Data Abort) Exception at 0x": "what the firmware started has crashed",
    r"device-mapper: verity: .*(corrupted|reached maximum errors)|dm-verity device corrupted":
        "a block of the root does not fit its hash",
    r"Kernel panic - not syncing: ([^\n]*)": "the kernel panicked",
    r"You are in emergency mode|Entering emergency mode|emergency shell": "it went into emergency mode",
    r"You are in rescue mode|Cannot open access to console, the root account is locked": "it went into rescue mode",
    r"systemd\[1\]: (Freezing execution|!!!!!!)": "systemd gave up",
    r"(Failed to start|Failed to mount) [^\n]*(Switch Root|/sysroot)": "the root could not be mounted",
    r"grub rescue>|error: no such (partition|device)": "the boot loader found no system",
}  # fmt: skip
"""What consoles say of starts that lead nowhere, and what it means."""

FAILED_UNIT = re.compile(r"^\S+\.[a-z]+", re.MULTILINE)
"""A line of `systemctl list-units --plain`: the unit's name comes first."""


COMPLAINT = re.compile(r"^.*(?:\[FAILED\]|\[DEPEND\]|\[ TIME \]).*$", re.MULTILINE)
"""Lines in which systemd says on the console what did not start."""


class BootOutcome(StrEnum):
    """How a start ended."""

    PASSED = "passed"
    FAILED = "failed"


class BootReport(SpecModel):
    """What a start was like."""

    outcome: BootOutcome
    reason: str
    """In a sentence."""

    accelerator: str
    """`kvm` or `tcg`."""

    seconds: float
    """From switching it on to its last word."""

    marker: str
    """What showed that it was up: `witness`, a unit that is given to the machine from outside, or `login`, the
    console's prompt; `none` when nothing did."""

    state: str | None = None
    """What `systemctl is-system-running` said."""

    failed_units: list[str] = Field(default_factory=list)
    errors: list[str] = Field(default_factory=list)
    """The journal's errors, which fail no build; of a start that never came so far, what the console complains of."""

    analyze: list[str] = Field(default_factory=list)
    """What `systemd-analyze` said."""

    kernel: str | None = None
    """What `uname -r` said."""


def trouble(console: str) -> str | None:
    """Say why a machine will not come up; None while it may."""
    for pattern, meaning in TROUBLE.items():
        found = re.search(pattern, console)
        if found is not None:
            line = console[console.rfind("\n", 0, found.start()) + 1 :].split("\n", 1)[0].strip()
            return f"{meaning}: {line}"
    return None


def complaints(console: str) -> list[str]:
    """Give what systemd said on a console about what did not start."""
    return [found[0].strip() for found in COMPLAINT.finditer(console)]


def judge_state(state: str, failed_units: list[str]) -> str | None:
    """Say what is wrong with a system that has come up; None when it is as it should be."""
    if state == RUNNING:
        return None
    if failed_units:
        return f"systemd says {state}: {', '.join(failed_units)} failed"
    return f"systemd says {state}" if state else "systemd did not say how it is"


def failed_units(listed: str) -> list[str]:
    """Read what `systemctl list-units --failed --plain --no-legend` says."""
    return [found[0] for found in FAILED_UNIT.finditer(listed)]
