"""Taking out what was inherited."""

from __future__ import annotations

import re
from collections.abc import Sequence

from image_composer.spec.layers.fields import below
from image_composer.spec.layers.merge import WHOLE, label
from image_composer.spec.layers.node import Node

Step = tuple[str, bool]
"""A name, and whether it stands in brackets."""


def steps(path: str) -> list[Step]:
    """Take a path apart: `users[admin].shell` is a field, an item and a field."""
    return [(name or item, not name) for name, item in re.findall(r"([A-Za-z0-9]+)(?=[.\[]|$)|\[([^\]]*)\]", path)]


def without(node: Node, path: Sequence[Step], place: str = "") -> Node | None:
    """Give a node without what a path names; none when it names nothing."""
    found = _find(node, path[0], place)
    if found is None:
        return None
    key, child, here = found
    left = without(child, path[1:], here) if path[1:] else None
    if path[1:] and left is None:
        return None
    if isinstance(node.value, dict):
        fields = {name: left if name == key else field for name, field in node.value.items()}
        return Node({name: field for name, field in fields.items() if field is not None}, node.origin)
    items = [left if number == key else item for number, item in enumerate(node.value)]
    return Node([item for item in items if item is not None], node.origin)


def _find(node: Node, step: Step, place: str) -> tuple[str | int, Node, str] | None:
    """Give key, value and place of what a step leads to."""
    name, in_brackets = step
    if isinstance(node.value, dict) and name in node.value:
        return name, node.value[name], place if in_brackets else below(place, name)
    if isinstance(node.value, list) and in_brackets and place not in WHOLE:
        for number, item in enumerate(node.value):
            if name in (label(place, item), item.value):
                return number, item, f"{place}[]"
    return None
