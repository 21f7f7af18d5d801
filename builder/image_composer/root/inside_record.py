"""Recording deb packages in dpkg's database, as `dpkg --unpack` would. Standard library only, see inside.py.

Formats: deb(5), deb-conffiles(5), deb-triggers(5), and dpkg's own database as dpkg 1.21 and 1.22 write it.
"""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from pathlib import Path
from typing import Any

from image_composer.root.inside_unpack import ADMIN, NotDisjointError, write

SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")


def record(request: dict[str, Any]) -> dict[str, Any]:
    """Read the control part of packages from pipes and record them all as unpacked.

    Returns:
        `packages`, by name: `record` (how dpkg names its files), `conffiles`, `preinst` (whether there is one); and
        `refused`: why dpkg must do it instead, or null.
    """
    packages: dict[str, dict[str, Any]] = {}
    stanzas: dict[str, str] = {}
    interests: list[tuple[str, str]] = []
    try:
        for package in request["packages"]:
            with os.fdopen(package["fd"], "rb") as stream:
                control = control_members(stream.read())
            text = control.pop("control").decode()
            known = describe(text, control)
            packages[package["name"]] = known
            stanzas[package["name"]] = stanza(text, known["conffiles"])
            interests += trigger_interests(control.get("triggers", b"").decode(), known["record"])
            for member, content in control.items():
                path = f"{ADMIN}/info/{known['record']}.{posixpath.basename(member)}"
                write(path, content, 0o755 if member in SCRIPTS else 0o644)
    except NotDisjointError as error:
        return {"refused": str(error), "packages": {}}
    record_interests(interests)
    with Path(f"{ADMIN}/status").open("a") as stream:
        stream.writelines(f"{stanzas[name]}\n" for name in sorted(stanzas))
    return {"refused": None, "packages": packages}


def describe(text: str, control: dict[str, bytes]) -> dict[str, Any]:
    """Give what unpacking needs to know of a package."""
    name = field(text, "Package")
    conffiles = [line.rstrip() for line in control.get("conffiles", b"").decode().split("\n") if line.strip()]
    if any(not line.startswith("/") for line in conffiles):
        raise NotDisjointError(f"{name} has conffiles with flags")
    shared = field(text, "Multi-Arch") == "same"
    return {
        "record": f"{name}:{field(text, 'Architecture')}" if shared else name,
        "conffiles": conffiles,
        "preinst": "preinst" in control,
    }


def trigger_interests(text: str, record_name: str) -> list[tuple[str, str]]:
    """Give the triggers that a package wants to be told of, with the name it is to be noted by."""
    found = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].startswith("interest"):
            found.append((words[1], record_name + ("/noawait" if words[0] == "interest-noawait" else "")))
    return found


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


def stanza(control: str, conffiles: list[str]) -> str:
    """Give a package's stanza for dpkg's status file, unpacked and never configured."""
    lines = control.strip("\n").split("\n")
    lines.insert(1, "Status: install ok unpacked")
    if conffiles:
        lines.append("Conffiles:")
        lines += [f" {path} newconffile" for path in conffiles]
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
