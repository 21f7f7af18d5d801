"""The spec file of a package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from support.rpms.payload import Entry
from support.rpms.tables import Package, Script

DISTRIBUTION_OF = {"Microsoft Corporation": "Azure Linux", "Intel Corporation": "Edge Microvisor Toolkit"}

NO_VERSION = re.compile(r"^\d+:|(\+dfsg|\+ds|\.dfsg|~dfsg)[^-]*|-[^-]*$")
"""What of a version of Debian's is not upstream's."""


def rpm_version(debian: str) -> str:
    """Give upstream's version out of one of Debian's."""
    return NO_VERSION.sub("", debian).replace("-", "_")


def spec_text(
    package: Package, control: Mapping[str, str], entries: Iterable[Entry], *, dist: str, vendor: str, tree: Path
) -> str:
    """Write the spec file.

    Args:
        package: from the tables.
        control: fields of the package of Debian that it takes its version and description from; may be empty.
        entries: its files.
        dist: end of the release.
        vendor: who says to have made it.
        tree: the folder that holds the files.
    """
    part = "" if package.source == package.name else f" -n {package.name}"
    summary = package.summary or control["Description"].splitlines()[0]
    return "\n".join(
        [
            *_preamble(package, control, summary, dist=dist, vendor=vendor),
            *([f"%package{part}", f"Summary: {summary}"] if part else []),
            *(f"{tag}: {value}" for tag, values in package.tags.items() for value in values),
            f"%description{part}",
            f"{summary}.",
            "%install",
            f"rmdir %{{buildroot}} && mv {tree} %{{buildroot}}",
            *(line for script in package.scripts for line in _script(script, part)),
            f"%files{part}",
            *(file_line(entry) for entry in sorted(entries, key=lambda entry: entry.path)),
            "",
        ]
    )


def _preamble(package: Package, control: Mapping[str, str], summary: str, *, dist: str, vendor: str) -> list[str]:
    url = package.url or control.get("Homepage") or "https://www.debian.org/"
    return [
        f"Name: {package.source}",
        f"Version: {package.version or rpm_version(control['Version'])}",
        f"Release: {package.release}{dist}",
        *([f"Epoch: {package.epoch}"] if package.epoch is not None else []),
        f"Summary: {summary}",
        f"License: {package.license}",
        f"URL: {url}",
        f"Vendor: {vendor}",
        f"Distribution: {DISTRIBUTION_OF[vendor]}",
        *(["BuildArch: noarch"] if package.noarch else []),
        *([] if package.generated else ["AutoReqProv: no"]),
        # A package with another name than its source would be an empty one beside it.
        *([] if package.source == package.name else ["%description", f"{summary}."]),
    ]


def _script(script: Script, part: str) -> list[str]:
    head = f"%{script.section}{part}"
    if script.interpreter:
        head += f" -p {script.interpreter}"
    if script.on:
        head += f" -- {script.on}"
    return [head, script.text.rstrip()] if script.text else [head]


def file_line(entry: Entry) -> str:
    """Write the line of one path."""
    mode = "-" if entry.kind == "link" else f"{entry.mode:04o}"
    words = [f"%attr({mode}, {entry.owner}, {entry.group})"]
    if entry.capabilities:
        words.append(f"%caps({entry.capabilities})")
    if entry.ghost:
        words.append("%ghost")
    if entry.config:
        words.append("%config(noreplace)")
    if entry.license:
        words.append("%license")
    if entry.kind == "folder":
        words.append("%dir")
    return " ".join([*words, f'"{_quoted(entry.path)}"'])


def _quoted(path: str) -> str:
    """Write a path so that rpm finds no macro in it; patterns can not be escaped, so there may be none."""
    assert not re.search(r"[*?{]|\[.*\]", path), f"{path} would be taken for a pattern"
    return path.replace("%", "%%")
