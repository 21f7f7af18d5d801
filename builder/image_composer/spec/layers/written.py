"""A document of several, written as one: for people to read, and for machines that take one document only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from image_composer.spec.document import Document
from image_composer.spec.image import ImageSpec
from image_composer.spec.layers.variables import escaped
from image_composer.spec.problems import join_path

HIDDEN = "***"
"""Stands for a secret. No field takes it, so that nobody builds an image with it by mistake."""

SECRET_FIELDS = frozenset({"passwordHash"})

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

WIDE = 1_000_000
"""Columns after which a line would be broken, which comments could not stand."""

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


def rendered(tree: Mapping[str, Any], document: Document) -> dict[str, Any]:
    """Give the document that means the same and builds on no other, without secrets.

    Args:
        tree: the first document.
        document: what it says with all that it builds on.
    """
    image = without_secrets(escaped(document.tree))
    order = [field.alias or name for name, field in ImageSpec.model_fields.items()]
    image = {name: image[name] for name in order if name in image}
    if not document.prefix:
        return image
    header = {name: tree[name] for name in ("apiVersion", "kind")}
    return {**header, "metadata": _metadata(tree["metadata"]), "spec": {**tree["spec"], "image": image}}


def _metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a user has said about an object; kubectl keeps a copy of all he said in an annotation."""
    kept = {name: given[name] for name in ("name", "namespace", "labels", "annotations") if given.get(name)}
    if isinstance(kept.get("annotations"), dict):
        kept["annotations"] = {key: text for key, text in kept["annotations"].items() if key != LAST_APPLIED}
    return {name: value for name, value in kept.items() if value}


def without_secrets(tree: Any) -> Any:
    """Hide what nobody needs to read: password hashes, and passwords in addresses."""
    if isinstance(tree, dict):
        return {
            name: HIDDEN if name in SECRET_FIELDS and value is not None else without_secrets(value)
            for name, value in tree.items()
        }
    if isinstance(tree, list):
        return [without_secrets(value) for value in tree]
    return _PASSWORD.sub(f"{HIDDEN}@", tree) if isinstance(tree, str) else tree


def shown_origins(document: Document, name: str) -> dict[str, str]:
    """Give where each value comes from, as people read it, by its path.

    Args:
        document: the document.
        name: what the first of its documents is called.
    """
    return {
        path: printable(str(origin) if origin.source else f"{name}: {origin}")
        for path, origin in document.origins.items()
        if origin.path
    }


def printable(text: str) -> str:
    """Give a text on one line, whatever file names hold."""
    return "".join(character if character.isprintable() else "?" for character in text)


def as_yaml(tree: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Write a tree as YAML with a comment at each value that has one, by its path."""
    return "".join(f"{line}\n" for line in _lines(tree, "", 0, comments))


def _lines(tree: Any, path: str, depth: int, comments: Mapping[str, str]) -> Iterator[str]:
    """Write what stands below something: the entries of a mapping or a list."""
    indent = "  " * depth
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _entry(f"{indent}{_scalar(key)}:", value, join_path(path, (key,)), depth, comments)
        return
    for number, value in enumerate(tree):
        here = join_path(path, (number,))
        if isinstance(value, (dict, list)) and value:
            first, *rest = _lines(value, here, depth + 1, comments)
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", value, here, depth, comments)


def _entry(head: str, value: Any, path: str, depth: int, comments: Mapping[str, str]) -> Iterator[str]:
    comment = f"  # {comments[path]}" if path in comments else ""
    if isinstance(value, (dict, list)):
        if value:
            yield head
            yield from _lines(value, path, depth + 1, comments)
        else:
            yield f"{head} {'{}' if isinstance(value, dict) else '[]'}{comment}"
    elif isinstance(value, str) and _fits_block(value):
        ending = "" if value.endswith("\n") else "-"
        yield f"{head} |{ending}{comment}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{'  ' * (depth + 1)}{line}" if line else ""
    else:
        yield f"{head} {_scalar(value)}{comment}"


def _fits_block(text: str) -> bool:
    """Say whether a text of several lines can be written as it is."""
    lines = text.removesuffix("\n").split("\n")
    return (
        "\n" in text
        and lines[0][:1] not in ("", " ", "\t")
        and bool(lines[-1])
        and all(line.isprintable() for line in (line.replace("\t", "") for line in lines))
    )


def _scalar(value: Any) -> str:
    style = '"' if isinstance(value, str) and ("\n" in value or not value.isprintable()) else None
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=WIDE)
    return text.removesuffix("...\n").strip()
