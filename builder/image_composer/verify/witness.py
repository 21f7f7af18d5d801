"""A unit that tells from inside a machine how it started. The image knows nothing of it.

systemd takes credentials from the machine's firmware tables (SMBIOS, since version 252), and systemd-tmpfiles takes
further lines from the credential `tmpfiles.extra`. In the initramfs these lines make a unit in /run, which is there
when the system's own systemd reads its units. Where the initramfs has no systemd-tmpfiles, newer versions (256) take
the unit by itself. It says what it has to say over the second serial port: a login prompt on the first one would cut
it off.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from image_composer.spec.image import Architecture
from image_composer.verify.platforms import PLATFORMS

UNIT = "image-composer-witness.service"
UNITS = "/run/systemd/system"
STARTED_BY = "sysinit.target"
"""Rescue mode comes this far too, and can be told of."""

MOST_ERRORS = 100
"""Lines of the journal: a serial port under TCG takes some milliseconds each."""

SCRIPT = f"""\
exec >{{port}} 2>&1
say() {{ echo "#$1"; shift; "$@"; }}
say begin echo {{token}}
say kernel uname -r
say state systemctl is-system-running --wait
say failed systemctl list-units --failed --plain --no-legend --no-pager
say errors journalctl --boot --priority=err --output=short-monotonic --lines={MOST_ERRORS} --quiet --no-pager
for second in 1 2 3 4 5; do systemd-analyze time >/dev/null 2>&1 && break; sleep 1; done
say analyze systemd-analyze time
say blame systemd-analyze blame --no-pager
say end echo {{token}}
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """What the unit said, by the command's name."""

    kernel: str
    state: str
    failed: str
    errors: tuple[str, ...]
    analyze: tuple[str, ...]


def machine_arguments(log: str, token: str, architecture: Architecture = Architecture.X86_64) -> list[str]:
    """Give QEMU's arguments that bring the unit into a machine, and what it says into a file.

    Args:
        log: the file; QEMU's syntax wants commas doubled.
        token: word by which what it says is known to be of this start.
        architecture: of the machine.
    """
    platform = PLATFORMS[architecture]
    unit = unit_text(token, platform.second_port_name)
    credentials = {
        "tmpfiles.extra": tmpfiles_lines(unit),
        f"systemd.extra-unit.{UNIT}": unit,
        f"systemd.unit-dropin.{STARTED_BY}~witness": f"[Unit]\nWants={UNIT}\n",
    }
    arguments = ["-chardev", f"file,id=witness,path={log}", *platform.second_port]
    for name, content in credentials.items():
        value = base64.b64encode(content.encode()).decode()
        arguments += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={value}"]
    return arguments


def unit_text(token: str, port: str) -> str:
    """Give the unit. Its script comes along as data: neither quotes nor dollars mean anything there."""
    script = base64.b64encode(SCRIPT.replace("{token}", token).replace("{port}", port).encode()).decode()
    return (
        "[Unit]\nDescription=Tells the builder how the start went\nDefaultDependencies=no\n"
        # exec: systemd calls itself running while this still runs.
        "[Service]\nType=exec\nExecStart=/bin/sh -s\nStandardInput=data\n"
        f"StandardInputData={script}\n"
    )


def tmpfiles_lines(unit: str) -> str:
    """Give the lines of tmpfiles.d(5) that make a unit and let it be started."""
    wants = f"{UNITS}/{STARTED_BY}.wants"
    content = unit.replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")
    return "".join(
        f"{line}\n"
        for line in (
            f"d {UNITS} 0755 root root",
            f"f {UNITS}/{UNIT} 0644 root root - {content}",
            f"d {wants} 0755 root root",
            f"L {wants}/{UNIT} - - - - ../{UNIT}",
        )
    )


def read_statement(said: str, token: str) -> Statement | None:
    """Read what the unit said; None while it has not come to its end."""
    text = said.replace("\r", "")
    if f"#begin\n{token}\n" not in text or not re.search(rf"^#end\n{token}$", text, re.MULTILINE):
        return None
    sections: dict[str, list[str]] = {}
    name = ""
    for line in text[text.index(f"#begin\n{token}\n") :].splitlines():
        if re.fullmatch(r"#[a-z]+", line):
            name = line[1:]
        else:
            sections.setdefault(name, []).append(line)
    return Statement(
        kernel=_first(sections.get("kernel", ())),
        state=_first(sections.get("state", ())),
        failed="\n".join(sections.get("failed", ())),
        errors=tuple(line for line in sections.get("errors", ()) if line),
        analyze=(*sections.get("analyze", ()), *sections.get("blame", ())[:SHOWN_UNITS]),
    )


SHOWN_UNITS = 5
"""Units that took longest to start."""


def has_begun(said: str, token: str) -> bool:
    """Say whether the unit has said its first word."""
    return f"#begin\n{token}\n" in said.replace("\r", "")


def _first(lines: Sequence[str]) -> str:
    return lines[0].strip() if lines else ""
