"""From a document and what it builds on to one plain tree, which is checked as if somebody had written it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import PurePosixPath
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ValidationError

from image_composer.errors import Problem, SpecError
from image_composer.spec.composition import Extends
from image_composer.spec.image import ImageSpec
from image_composer.spec.layers.merge import merge
from image_composer.spec.layers.node import Budget, Node, Origin, annotated, origins, plain
from image_composer.spec.layers.remove import steps, without
from image_composer.spec.layers.variables import Filler, values_of
from image_composer.spec.parse import shown
from image_composer.spec.problems import join_path, problems_of

DEEPEST_CHAIN = 8
"""Documents in a row, each built on the next."""

MOST_DOCUMENTS = 32
"""Documents that one is made of."""

PER_DOCUMENT = ("extends", "remove")
"""Fields that are about one document, and not merged."""

FIELDS = (*PER_DOCUMENT, "variables", "values")
"""Fields that are gone once documents have become one."""

OWN = ("name", "version", "target")
"""Fields that no other document can give: a cluster shows and selects by them, and its schema requires them."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a document is."""

    kind: Literal["file", "ConfigMap", "ImageBuild"]
    name: str
    """Of the object; of a file, its path below the folder of the first document."""

    key: str = ""
    """Of a ConfigMap."""

    def __str__(self) -> str:
        if self.kind == "file":
            return self.name
        return f"{self.kind} {self.name}/{self.key}" if self.key else f"{self.kind} {self.name}"


class UnavailableError(Exception):
    """A document can't be had; says why, as what follows on the document's name."""


Load = Callable[[Address], Mapping[str, Any]]
"""Gives a document that is built upon, parsed. It may raise `UnavailableError`, and `SpecError` for what it holds."""


def nothing_to_load(_: Address) -> NoReturn:
    """Refuse: only one document is there."""
    raise UnavailableError("which can't be read here; 'image-composer render' writes one document of several")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a document may need beside itself."""

    load: Load = nothing_to_load
    address: Address | None = None
    """Of the document itself, so that a way back to it is noticed."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Values of variables that count before the document's own."""


@dataclass(frozen=True, slots=True)
class Composed:
    """One document of several."""

    tree: dict[str, Any]
    origins: Mapping[str, Origin]
    """Where each value was written, by its path in the result."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One of the documents."""

    address: Address | None
    source: str
    """Its name in messages; nothing for the first one."""

    tree: Mapping[str, Any]
    prefix: str
    """Path of the image's spec in it."""

    def place(self, *parts: str | int) -> str:
        return str(Origin(self.source, join_path(self.prefix, parts)))


def compose(image: Mapping[str, Any], prefix: str, surroundings: Surroundings) -> Composed:
    """Make one document of a document and all that it builds on.

    Args:
        image: the image's spec in it.
        prefix: path of that.
        surroundings: how other documents are had, and values of variables.

    Raises:
        SpecError: they can't become one; every problem names document and path.
    """
    first = _Layer(surroundings.address, "", image, prefix)
    composer = _Composer(surroundings.load)
    root = composer.merged(first, [])
    filler = Filler(values_of(root, surroundings.values))
    kept = {name: node for name, node in root.fields.items() if name not in FIELDS}
    filled = filler.filled(Node(kept, root.origin))
    if filler.problems:
        raise SpecError(filler.problems)
    return Composed(plain(filled), origins(filled, prefix))


def first_unknown(image: Mapping[str, Any], own: Address, known: Collection[Address], load: Load) -> Address | None:
    """Give a document that is built upon and not known yet; none when all are, or when something is wrong with them.

    Args:
        image: the image's spec of the first document.
        own: the address of that.
        known: documents that can be loaded.
        load: gives those.

    Raises:
        SpecError: a document can't be read.
    """
    seen, ahead = {own}, _next(_Layer(own, "", image, ""))
    while ahead and len(seen) <= MOST_DOCUMENTS:
        address = ahead.pop()
        if address in seen:
            continue
        if address not in known:
            return address
        seen.add(address)
        ahead += _next(_layer(address, load(address)))
    return None


def _next(layer: _Layer) -> list[Address]:
    """Give what a document builds on, the first at the end."""
    place = layer.place("extends")
    return [_address(layer.address, extends, place) for extends in reversed(_own_fields(layer).extends)]


class _Composer:
    """Merges documents, each once, however many build on it."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.budget = Budget()
        self.known: dict[Address, Node] = {}
        self.loaded = 0

    def merged(self, layer: _Layer, chain: Sequence[Address]) -> Node:
        """Give a document with all that it builds on."""
        own = _own_fields(layer)
        chain = [*chain, *([layer.address] if layer.address else [])]
        bases = [self._base(layer, number, extends, chain) for number, extends in enumerate(own.extends)]
        kept = {name: value for name, value in layer.tree.items() if name not in PER_DOCUMENT}
        said = annotated(kept, layer.source, layer.prefix, self.budget)
        problems: list[Problem] = []
        if bases:
            if not layer.source:
                problems += [
                    Problem(layer.place(name), "is missing; what a document builds on can't give it")
                    for name in OWN
                    if layer.tree.get(name) is None
                ]
            inherited = reduce(lambda earlier, later: merge(earlier, later, problems), bases)
            said = merge(_removed(layer, own.remove, inherited, problems), said, problems)
        elif own.remove:
            problems.append(Problem(layer.place("remove"), "is without use: the document builds on no other"))
        if problems:
            raise SpecError(problems)
        return said

    def _base(self, layer: _Layer, number: int, extends: Extends, chain: Sequence[Address]) -> Node:
        place = layer.place("extends", number)
        address = _address(layer.address, extends, place)
        if address in chain:
            names = " -> ".join(map(str, [*chain[chain.index(address) :], address]))
            _refuse(place, f"leads back to where it came from: {names}", "SPEC_EXTENDS_CYCLE")
        if len(chain) > DEEPEST_CHAIN:
            _refuse(place, f"is the end of a chain of more than {DEEPEST_CHAIN} documents", "SPEC_EXTENDS_TOO_DEEP")
        if address not in self.known:
            self.loaded += 1
            if self.loaded > MOST_DOCUMENTS:
                _refuse(place, f"is one document too many; {MOST_DOCUMENTS} can become one", "SPEC_EXTENDS_TOO_MANY")
            try:
                tree = self.load(address)
            except UnavailableError as error:
                _refuse(place, f"names {address}, {error}", "SPEC_EXTENDS_UNAVAILABLE")
            self.known[address] = self.merged(_layer(address, tree), chain)
        return self.known[address]


def _layer(address: Address, tree: Mapping[str, Any]) -> _Layer:
    """Find the image's spec in a document that is built upon; whatever else stands there is its own."""
    if "kind" not in tree and "apiVersion" not in tree:
        return _Layer(address, str(address), tree, "")
    spec = tree.get("spec")
    image = spec.get("image") if isinstance(spec, dict) else None
    if tree.get("kind") != "ImageBuild" or not isinstance(image, dict):
        _refuse(str(address), "is neither an ImageBuild nor the spec of an image")
    return _Layer(address, str(address), image, "spec.image")


def _address(own: Address | None, extends: Extends, place: str) -> Address:
    if extends.config_map_ref is not None:
        return Address("ConfigMap", extends.config_map_ref.name, extends.config_map_ref.key)
    if extends.image_build_ref is not None:
        return Address("ImageBuild", extends.image_build_ref.name)
    assert extends.file is not None
    if own is not None and own.kind != "file":
        _refuse(place, f"names a file, but there are none beside {own}", "SPEC_EXTENDS_UNAVAILABLE")
    return Address("file", str(PurePosixPath(own.name).parent / extends.file) if own else extends.file)


def _own_fields(layer: _Layer) -> ImageSpec:
    """Read the fields that say how a document becomes part of another."""
    required = {"name": "x", "version": "0", "target": {"distribution": "x", "release": "0"}}
    given = {name: layer.tree[name] for name in FIELDS if layer.tree.get(name) is not None}
    try:
        own = ImageSpec.model_validate({**required, **given})
    except ValidationError as error:
        found = problems_of(error, layer.prefix)
        raise SpecError([_in(layer, problem) for problem in found]) from None
    problems = [
        Problem(layer.place("extends", number), "must have exactly one of configMapRef, file, imageBuildRef")
        for number, extends in enumerate(own.extends)
        if len(_given(extends)) != 1
    ]
    names = Counter(variable.name for variable in own.variables)
    problems += [
        Problem(layer.place("variables"), f"{name} is there {count} times")
        for name, count in names.items()
        if count > 1
    ]
    if problems:
        raise SpecError(problems)
    return own


def _given(model: BaseModel) -> set[str]:
    return {name for name in type(model).model_fields if getattr(model, name) is not None}


def _in(layer: _Layer, problem: Problem) -> Problem:
    return Problem(str(Origin(layer.source, problem.path)), problem.message, problem.code)


def _removed(layer: _Layer, paths: Sequence[str], inherited: Node, problems: list[Problem]) -> Node:
    for number, path in enumerate(paths):
        left = without(inherited, steps(path))
        if left is None:
            message = f"names {shown(path)}, which nothing in 'extends' has"
            problems.append(Problem(layer.place("remove", number), message, "SPEC_NOTHING_TO_REMOVE"))
        else:
            inherited = left
    return inherited


def _refuse(place: str, message: str, code: str = "SPEC_INVALID") -> NoReturn:
    raise SpecError([Problem(place, message, code)])
