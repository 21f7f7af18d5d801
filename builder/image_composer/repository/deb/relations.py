"""Dependencies as a deb package's fields write them, for example `libc6 (>= 2.36), debconf | debconf-2.0`.

Syntax: Debian Policy, section 7.1.
"""

from __future__ import annotations

import re
from typing import NamedTuple

RELATION = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9+._-]*)"
    r"(?P<any>:any)?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\))?"
)


class Relation(NamedTuple):
    """One package, or what provides it, in versions that may be limited."""

    name: str
    any_architecture: bool = False
    operator: str = ""
    version: str = ""


class Dependency(NamedTuple):
    """Alternatives, one of which is enough."""

    text: str
    alternatives: tuple[Relation, ...]
    """Those that can be read; one for a foreign architecture, which can't be met here, is left out."""


def parse_dependencies(field: str) -> list[Dependency]:
    """Read a field such as Depends, in its order."""
    found = []
    for text in field.split(","):
        matches = [RELATION.fullmatch(alternative.strip()) for alternative in text.split("|")]
        relations = tuple(
            Relation(match["name"], match["any"] is not None, match["operator"] or "", match["version"] or "")
            for match in matches
            if match is not None
        )
        if text.strip():
            found.append(Dependency(" ".join(text.split()), relations))
    return found
