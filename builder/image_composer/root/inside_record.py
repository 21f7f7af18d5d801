"""Recording deb packages in dpkg's database, as `dpkg --unpack` would. Standard library only, see inside.py.

Formats: deb(5), deb-conffiles(5), deb-triggers(5), and dpkg's own database as dpkg 1.21 and 1.22 write it.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import tarfile
from pathlib import Path
from typing import Any

from image_composer.root.inside_unpack import ADMIN, told, write

TRIGGER = re.compile(r"/[!-~]*|[A-Za-z0-9][A-Za-z0-9+.-]*")
"""A path, or a name, which becomes that of a file."""

REMOVED = "remove-on-upgrade"
"""Flag of a conffile that the package had once: it is not packed, only taken away by an upgrade."""

SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")


def record(request: dict[str, Any]) -> dict[str, Any]:
    """Read the control part of packages from pipes and record them all as unpacked.

    Returns:
        `packages`, by name: `record` (how dpkg names its files), `conffiles`, `scripts` (names of those that it has),
        `sums` (whether it lacks a list of its files' digests), `control` (its control file, if its script needs that);
        and `refused`: why dpkg must do it instead, or null.

    Raises:
        ValueError: names the package that can't be read, or is not the one that was asked for.
    """
    packages: dict[str, dict[str, Any]] = {}
    stanzas: dict[str, str] = {}
    interests: list[tuple[str, str]] = []
    refused = None
    for package in request["packages"]:
        with os.fdopen(package["fd"], "rb") as stream:
            content = stream.read()
        try:
            control = control_members(content)
            text = control.pop("control", b"").decode()
            check_identity(text, package)
            flags = conffile_flags(control.get("conffiles", b"").decode())
            known = describe(text, control, flags)
            interests += trigger_interests(control.get("triggers", b"").decode(), known["record"])
        except (ValueError, tarfile.TarError) as error:
            raise ValueError(f"the package {package['name']} can't be read: {told(error)}") from error
        if set(flags.values()) - {"", REMOVED}:
            refused = f"{package['name']} has conffiles with flags that only dpkg may know"
        packages[package["name"]] = known
        stanzas[package["name"]] = stanza(text, flags)
        for member, script in control.items():
            path = f"{ADMIN}/info/{known['record']}.{posixpath.basename(member)}"
            write(path, script, 0o755 if member in SCRIPTS else 0o644)
    record_interests(interests)
    with Path(f"{ADMIN}/status").open("a") as stream:
        stream.writelines(f"{stanzas[name]}\n" for name in sorted(stanzas))
    return {"refused": refused, "packages": packages}


def check_identity(text: str, package: dict[str, Any]) -> None:
    """Hold what a package says of itself against what the lock, and so its repository's index, says.

    Raises:
        ValueError: it is another one.
    """
    wanted = tuple(package[name] for name in ("name", "version", "architecture"))
    given = tuple(field(text, name) for name in ("Package", "Version", "Architecture"))
    if given != wanted:
        raise ValueError(f"its file calls itself {' '.join(given).strip() or 'nothing'}, not {' '.join(wanted)}")


def conffile_flags(text: str) -> dict[str, str]:
    """Give the flag of each conffile by path, in the order of the file; most have none.

    Raises:
        ValueError: a line can't be read.
    """
    found = {}
    for line in filter(None, map(str.rstrip, text.split("\n"))):
        flag, path = ("", line) if line.startswith("/") else line.split(maxsplit=1)
        found[path] = flag
    return found


def describe(text: str, control: dict[str, bytes], flags: dict[str, str]) -> dict[str, Any]:
    """Give what unpacking needs to know of a package."""
    name = field(text, "Package")
    shared = field(text, "Multi-Arch") == "same"
    return {
        "record": f"{name}:{field(text, 'Architecture')}" if shared else name,
        "conffiles": [path for path, flag in flags.items() if not flag],
        "scripts": [name for name in SCRIPTS if name in control],
        "sums": "md5sums" not in control,
        "control": text if "preinst" in control else "",
    }


def trigger_interests(text: str, record_name: str) -> list[tuple[str, str]]:
    """Give the triggers that a package wants to be told of, with the name it is to be noted by.

    Raises:
        ValueError: a line can't be read.
    """
    found = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].startswith("interest"):
            if len(words) != 2 or not TRIGGER.fullmatch(words[1]):
                raise ValueError(f"{line!r} is not a line of a file of triggers")
            found.append((words[1], record_name + ("/noawait" if words[0] == "interest-noawait" else "")))
    return found


def diverted(request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - it is about the whole root
    """Tell which paths of unpacked packages another package diverts: only dpkg knows where they belong.

    dpkg goes by the names that packages give, not by where those lead: what is diverted below /lib concerns no
    package that brings it below /usr/lib. Three lines are a diversion: from, to, by whom.
    """
    path = Path(f"{ADMIN}/diversions")
    lines = path.read_text().splitlines() if path.is_file() else []
    owners = dict(zip(lines[0::3], lines[2::3], strict=True))
    found = {
        name
        for listed in Path(f"{ADMIN}/info").glob("*.list")
        for name in owners.keys() & set(listed.read_text().splitlines())
        if owners[name] != listed.stem.split(":")[0]
    }
    return {"paths": sorted(found)}


def control_members(archive: bytes) -> dict[str, bytes]:
    """Give the files of a control.tar by name."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as control:
        for member in control:
            content = control.extractfile(member) if member.isreg() else None
            if content is not None:
                found[posixpath.basename(member.name)] = content.read()
    return found


def field(control: str, name: str) -> str:
    """Give the value of a one-line field of a control file, or nothing."""
    for line in control.splitlines():
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    return ""


def stanza(control: str, flags: dict[str, str]) -> str:
    """Give a package's stanza for dpkg's status file, unpacked and never configured."""
    lines = control.strip("\n").split("\n")
    lines.insert(1, "Status: install ok unpacked")
    if flags:
        lines.append("Conffiles:")
        lines += [f" {path} newconffile {flag}".rstrip() for path, flag in flags.items()]
    return "\n".join(lines) + "\n"


def record_interests(interests: list[tuple[str, str]]) -> None:
    """Record who wants to be told of which trigger, as `dpkg --unpack` does."""
    files = [f"{trigger} {name}\n" for trigger, name in sorted(interests) if trigger.startswith("/")]
    with Path(f"{ADMIN}/triggers/File").open("a") as stream:
        stream.writelines(files)
    for trigger, name in sorted(interests):
        if not trigger.startswith("/"):
            with Path(f"{ADMIN}/triggers/{trigger}").open("a") as stream:
                stream.write(f"{name}\n")
