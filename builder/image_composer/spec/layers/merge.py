"""How two documents become one: mappings by key, lists of named things by name, other lists as unions.

Every rule is data below; a test sees that every list of the spec has one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from image_composer.errors import Problem
from image_composer.spec.layers.fields import below, is_default
from image_composer.spec.layers.node import Node, plain

NAMED: Mapping[str, Sequence[str]] = {
    "artifacts": ("path",),
    "files": ("path",),
    "folders": ("path",),
    "groups": ("name",),
    "network.hosts": ("address",),
    "network.interfaces": ("name", "macAddress"),
    "repositories": ("id",),
    "scripts": ("name",),
    "systemd.dropIns": ("unit", "name"),
    "systemd.units": ("name",),
    "trees": ("name",),
    "udevRules": ("name",),
    "users": ("name",),
    "variables": ("name",),
}
"""Lists whose items have names: items of one name are merged field by field."""

WHOLE = frozenset({"disk.partitions", "outputs", "network.interfaces[].routes"})
"""Lists that make sense as a whole only: the later one counts."""

REQUESTS = frozenset({"packages"})
"""Lists of `name` or `name=version`: a later one of the same name takes the place of the earlier one."""

ONE_OF: Mapping[str, frozenset[str]] = {
    "files[]": frozenset(
        {"content", "template", "contentBase64", "url", "sha256", "configMapRef", "secretRef", "link"}
    ),
    "scripts[]": frozenset({"content", "url", "sha256", "configMapRef"}),
    "systemd.units[]": frozenset({"content", "template"}),
    "systemd.dropIns[]": frozenset({"content", "template"}),
    "trees[]": frozenset({"url", "sha256", "configMapRef", "folder"}),
}
"""Fields that say the same thing in several ways: a later word about it takes the place of all earlier ones."""


def merge(earlier: Node, later: Node, problems: list[Problem], place: str = "") -> Node:
    """Give what two documents say together; the later one's word counts.

    Nothing (`null`) says nothing, since an API server drops it.

    Args:
        earlier: of a document that is built upon.
        later: of one that builds on it.
        problems: what can't be merged is added here.
        place: where both stand.
    """
    if later.value is None or earlier.value is None:
        return earlier if later.value is None else later
    if isinstance(earlier.value, dict) and isinstance(later.value, dict):
        return Node(_fields(earlier.value, later.value, problems, place), later.origin)
    if isinstance(earlier.value, list) and isinstance(later.value, list) and place not in WHOLE:
        return Node(_items(earlier.value, later.value, problems, place), later.origin)
    if _kind(earlier.value) != _kind(later.value):
        message = f"is {_kind(later.value)}, but {_kind(earlier.value)} in {earlier.origin}"
        problems.append(Problem(str(later.origin), message))
    elif _form(earlier) != _form(later) and is_default(place, plain(later)):
        message = (
            f"is the default, which does not replace what {earlier.origin} says, since a cluster can't tell it from"
            f" silence; take that away with 'remove: [{removable(place, later)}]'"
        )
        problems.append(Problem(str(later.origin), message, "SPEC_DEFAULT_OVERRIDES"))
    return later


def label(place: str, item: Node) -> str | None:
    """Give the name of an item of the list at a place; none when it has none."""
    if place in NAMED:
        if not isinstance(item.value, dict):
            return None
        given = [item.value[name].value for name in NAMED[place] if name in item.value]
        names = [name for name in given if isinstance(name, str)]
        return "/".join(names) or None
    if place in REQUESTS and isinstance(item.value, str):
        return item.value.split("=")[0]
    return None


def removable(place: str, node: Node) -> str:
    """Give what `remove` would call a value, as far as its place says it."""
    return place.replace("[]", "[...]") or node.origin.path


def _fields(
    earlier: Mapping[str, Node], later: Mapping[str, Node], problems: list[Problem], place: str
) -> dict[str, Node]:
    said = {name for name, node in later.items() if node.value is not None}
    replaced = ONE_OF.get(place, frozenset())
    if said & replaced:
        earlier = {name: node for name, node in earlier.items() if name not in replaced}
    merged = dict(earlier)
    for name, node in later.items():
        merged[name] = merge(merged[name], node, problems, below(place, name)) if name in merged else node
    return merged


def _items(earlier: Sequence[Node], later: Sequence[Node], problems: list[Problem], place: str) -> list[Node]:
    merged = list(earlier)
    named = {name: number for number, item in reversed([*enumerate(earlier)]) if (name := label(place, item))}
    forms = {_form(item) for item in earlier}
    for item in later:
        name = label(place, item)
        number = named.pop(name, None) if name is not None else None
        if number is not None:
            is_request = place in REQUESTS
            merged[number] = item if is_request else merge(merged[number], item, problems, f"{place}[]")
        elif name is not None or _form(item) not in forms:
            merged.append(item)  # a name that is there twice in one document stays so, and is refused later
    return merged


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "a single value"


def _form(node: Node) -> str:
    """Give what two equal values have in common; 1, 1.0 and true are three."""
    return json.dumps(plain(node), sort_keys=True, default=repr)
