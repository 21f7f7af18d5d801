"""Values that know where they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from image_composer.errors import Problem, SpecError
from image_composer.spec.problems import join_path

DEEPEST = 32
"""Levels of a document; the spec has eight."""

MOST_VALUES = 100_000
"""Values of all documents together that make one: many times what the spec has room for, and 20 MiB of memory."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written."""

    source: str
    """What holds it, for example `base.yaml`; nothing for the document that is read."""

    path: str
    """Its path there, as a user writes it."""

    variables: tuple[str, ...] = ()
    """Variables that were filled in."""

    def __str__(self) -> str:
        place = f"{self.source}: {self.path}" if self.source else self.path
        return f"{place} with {', '.join(self.variables)}" if self.variables else place


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its origin; what is below is a node again."""

    value: Any
    """A mapping or a list of nodes, or what a document can hold else."""

    origin: Origin

    @property
    def fields(self) -> Mapping[str, Node]:
        """What a mapping holds."""
        assert isinstance(self.value, dict)
        return self.value


class Budget:
    """Counts values, and ends what has too many."""

    def __init__(self, left: int = MOST_VALUES) -> None:
        self.left = left

    def spend(self, source: str) -> None:
        """Count one value.

        Raises:
            SpecError: there are too many.
        """
        self.left -= 1
        if self.left < 0:
            message = f"{source or 'the document'}, with what it builds on, has more than {MOST_VALUES} values"
            raise SpecError([Problem("", message, "SPEC_TOO_LARGE")])


def annotated(tree: Any, source: str, path: str, budget: Budget, depth: int = 0) -> Node:
    """Give the node of a value.

    Raises:
        SpecError: it is nested too deeply, or has too many values.
    """
    budget.spend(source)
    if depth > DEEPEST:
        raise SpecError([Problem(str(Origin(source, path)), "is nested too deeply", "SPEC_MALFORMED")])
    value = tree
    if isinstance(tree, dict):
        value = {
            key: annotated(below, source, join_path(path, (key,)), budget, depth + 1) for key, below in tree.items()
        }
    elif isinstance(tree, list):
        value = [
            annotated(below, source, join_path(path, (number,)), budget, depth + 1) for number, below in enumerate(tree)
        ]
    return Node(value, Origin(source, path))


def plain(node: Node) -> Any:
    """Give a value without its origin."""
    if isinstance(node.value, dict):
        return {key: plain(below) for key, below in node.value.items()}
    if isinstance(node.value, list):
        return [plain(below) for below in node.value]
    return node.value


def origins(node: Node, path: str) -> Mapping[str, Origin]:
    """Give where everything below a node comes from, by its path in the result."""
    return dict(_origins(node, path))


def _origins(node: Node, path: str) -> Iterator[tuple[str, Origin]]:
    yield path, node.origin
    if isinstance(node.value, dict):
        for key, below in node.value.items():
            yield from _origins(below, join_path(path, (key,)))
    elif isinstance(node.value, list):
        for number, below in enumerate(node.value):
            yield from _origins(below, join_path(path, (number,)))
