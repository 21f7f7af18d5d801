"""Documents made from the models' own JSON Schema, right ones and wrong ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from image_composer.spec.source import SOURCE
from support.specs import ED25519_KEY, SHA512_HASH

EXAMPLE = Path(__file__).parents[2] / "builder/image_composer/spec/example.yaml"
"""Uses every field."""

Node = dict[str, Any]

# What has no pattern in the models is checked by a function of ours: here are some that pass.
CHECKED: dict[str, list[Any]] = {
    "packages[]": ["curl", "curl=7.88.1-10+deb12u8", "g++", "a" * 128 + "=" + "1" * 127],
    "passwordHash": [SHA512_HASH],
    "sshAuthorizedKeys[]": [ED25519_KEY, f"restrict {ED25519_KEY}"],
    "key": ["-----BEGIN PGP PUBLIC KEY BLOCK-----\n...", ""],
    "caBundle": ["-----BEGIN CERTIFICATE-----"],
    "certificate": [yaml.safe_load(EXAMPLE.read_text())["spec"]["image"]["secureBoot"]["certificate"]],
}


# What has a pattern that says less than a function of ours does.
NARROWED: dict[str, list[Any]] = {
    "contentBase64": ["", "AAECAw==", "AAEC\nAw=="],
    "gateway": ["192.0.2.1", "2001:db8::1"],
    "address": ["192.0.2.1", "::1"],
    "dns[]": ["192.0.2.1", "2001:db8::1"],
    "addresses[]": ["192.0.2.1/24", "2001:db8::1/64"],
    "destination": ["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"],
}


STRICTER = {r"^(https?|s3)://[!-~]+$": SOURCE}
"""Patterns that say less than a function of ours does, with one that says as much."""


def values(node: Node, definitions: dict[str, Node], name: str = "") -> st.SearchStrategy[Any]:
    """Give what a JSON Schema of pydantic's allows."""
    if "$ref" in node:
        return values(definitions[node["$ref"].rsplit("/", 1)[1]], definitions, name)
    if "anyOf" in node:
        return st.one_of([values(choice, definitions, name) for choice in node["anyOf"]])
    if "enum" in node or "const" in node:
        return st.sampled_from(node.get("enum", [node.get("const")]))
    kind = node.get("type")
    if kind == "null":
        return st.none()
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(node["minimum"], node["maximum"])
    if kind == "string":
        return texts(node, name)
    if kind == "array":
        items = values(node["items"], definitions, f"{name}[]")
        return st.lists(items, min_size=node.get("minItems", 0), max_size=min(node["maxItems"], 3))
    return objects(node, definitions, name)


def texts(node: Node, name: str) -> st.SearchStrategy[str]:
    known = NARROWED if "pattern" in node else CHECKED
    if name in known:
        return st.sampled_from(known[name])
    pattern: str = node["pattern"]
    found = st.from_regex(re.compile(STRICTER.get(pattern, pattern), re.ASCII), fullmatch=True)
    return found.filter(
        lambda text: (
            node.get("minLength", 0) <= len(text) <= node["maxLength"] and not {".", ".."} & set(text.split("/"))
        )
    )


def objects(node: Node, definitions: dict[str, Node], name: str = "") -> st.SearchStrategy[dict[str, Any]]:
    if "properties" in node:
        fields = {name: values(below, definitions, name) for name, below in node["properties"].items()}
        required = {name: fields.pop(name) for name in node.get("required", ())}
        return st.fixed_dictionaries(required, optional=fields)
    if "patternProperties" in node:
        ((pattern, below),) = node["patternProperties"].items()
        keys = texts({"pattern": pattern, **node["propertyNames"]}, "")
        return st.dictionaries(keys, values(below, definitions, f"{name}{{}}"), max_size=2)
    if node.get("additionalProperties") is True:
        return st.dictionaries(st.sampled_from("abc"), st.integers() | st.lists(st.text(max_size=3)), max_size=2)
    keys = st.sampled_from(node["propertyNames"]["enum"])
    return st.dictionaries(keys, values(node["additionalProperties"], definitions), max_size=2)


WRONG: list[Any] = [True, -1, 10**15, 0.5, "", "x y", "A", "ä", "a\n", "-", "x" * 3000, [], [[]], {}, {"colour": "red"}]


def places(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the path of everything in a document."""
    if path:
        yield path
    if isinstance(tree, dict):
        for key, below in tree.items():
            yield from places(below, (*path, key))
    elif isinstance(tree, list):
        for number, below in enumerate(tree):
            yield from places(below, (*path, number))


def replaced(tree: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy: Any = tree.copy()
    copy[path[0]] = replaced(tree[path[0]], path[1:], value)
    return copy
