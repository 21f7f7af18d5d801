"""What concerns of a document want done to a root, as tests look at it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from image_composer.manifest import Family
from image_composer.root.customise.changes import Changes, Root
from image_composer.root.operations import Operation

ROOT_IDS: Mapping[str, int] = {"root": 0, "alice": 1000}


def root(
    *present: str,
    installed: Iterable[str] = (),
    texts: Mapping[str, str] | None = None,
    family: Family = Family.DEB,
) -> Root:
    """Give what is known of a root that has some files and packages."""
    groups = {"root": 0, "operators": 900}
    return Root(frozenset(installed), family, ROOT_IDS, groups, frozenset(present), texts or {})


def written(changes: Changes | Iterable[Operation]) -> dict[str, str]:
    """Give the files that are written with their content, and links with their target after an arrow."""
    found: dict[str, str] = {}
    for operation in changes.operations if isinstance(changes, Changes) else changes:
        if operation["kind"] == "write":
            found[operation["path"]] = base64.b64decode(operation["content"]).decode(errors="replace")
        elif operation["kind"] == "link":
            found[operation["path"]] = f"-> {operation['target']}"
    return found


def only(changes: Changes) -> dict[str, Any]:
    """Give the one operation."""
    [operation] = changes.operations
    return dict(operation)
