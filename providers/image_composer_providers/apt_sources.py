"""Reading APT's source lists, both forms of sources.list(5), as far as mirrors are concerned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

DISABLED = ("no", "false", "without", "off", "disable", "0")
"""Words that APT takes for no."""


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One archive and suite that APT is told to use."""

    url: str
    suite: str


def source_entries(path: str, text: str) -> Iterator[SourceEntry]:
    """Give the binary package sources of one file; lines that can't be read are passed over, as they are APT's."""
    if path.endswith(".sources"):
        for stanza in re.split(r"\n\s*\n", text):
            yield from _stanza_entries(stanza)
        return
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match:
            yield SourceEntry(match[1], match[2])


def _stanza_entries(stanza: str) -> Iterator[SourceEntry]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()
    enabled = fields.get("enabled", "yes").lower() not in DISABLED
    if enabled and "deb" in fields.get("types", "").split():
        for url in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield SourceEntry(url, suite)
