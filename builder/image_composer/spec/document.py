"""Reading the user's document: YAML or JSON, an `ImageBuild` manifest or the bare JSON spec of an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from image_composer.errors import Problem, SpecError
from image_composer.spec.destination import Destination, ObjectName, S3Destination
from image_composer.spec.image import ImageSpec
from image_composer.spec.imagebuild import BuildRequest
from image_composer.spec.layers.compose import Composed, Surroundings, compose
from image_composer.spec.layers.node import Origin
from image_composer.spec.parse import parse, shown
from image_composer.spec.problems import join_path, problems_of
from image_composer.spec.rules import destination_problems, key_problems, request_problems, spec_problems

API_GROUP = "imagecomposer.dev"
API_VERSION = f"{API_GROUP}/v1alpha1"
KIND = "ImageBuild"
PREFIX = "spec.image"
"""Path of the image's spec in a manifest."""

MANIFEST_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
"""Fields of a manifest; the cluster adds `status`. A bare spec has none of them."""

DEFAULT_NAMESPACE = "default"
"""Where kubectl puts an object whose manifest names no namespace."""

HINT = "'image-composer schema' prints what a document may hold; docs/spec.md explains it"

Model = TypeVar("Model", bound=BaseModel)

_OBJECT_NAME: TypeAdapter[str] = TypeAdapter(ObjectName)


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document."""

    spec: ImageSpec
    prefix: str
    """Path of the spec in the user's file, for messages: `spec.image`, or nothing for a bare spec."""

    name: str
    """Name of the ImageBuild; a bare spec is called as its image."""

    namespace: str = DEFAULT_NAMESPACE
    request: BuildRequest = field(default_factory=BuildRequest)
    """What stands beside the image."""

    tree: Mapping[str, Any] = field(default_factory=dict)
    """The image's spec as it was written: of all documents that this one is made of, with variables filled in."""

    origins: Mapping[str, Origin] = field(default_factory=dict)
    """Where each of its values was written, by its path."""

    def located(self, problem: Problem) -> Problem:
        """Give a problem of the spec with the place where the user can solve it."""
        return located(problem, self.origins)

    def path(self, field: str) -> str:
        """Give the path of a field of the spec in the user's file."""
        return f"{self.prefix}.{field}" if self.prefix else field


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything that an ImageBuild publishes lies."""

    s3: S3Destination
    namespace: str
    name: str


def read_document(content: bytes, name: str, surroundings: Surroundings | None = None) -> Document:
    """Read and check a document.

    Args:
        content: of the file, UTF-8.
        name: of the file, for messages.
        surroundings: what it may build on.

    Raises:
        SpecError: everything that is wrong with it, each with its path.
    """
    tree = parse(content, name)
    if _is_manifest(tree):
        return check_manifest(tree, surroundings)
    composed, problems = _image(tree, "", surroundings)
    if composed is None or problems:
        raise SpecError(problems, hint=HINT)
    spec = ImageSpec.model_validate(composed.tree)
    return Document(spec, "", spec.name, tree=composed.tree, origins=composed.origins)


def check_manifest(tree: Mapping[str, Any], surroundings: Surroundings | None = None) -> Document:
    """Check an ImageBuild that has been parsed; what a cluster adds to one is passed over.

    Raises:
        SpecError: everything that is wrong with it, each with its path.
    """
    problems = [*_header_problems(tree)]
    spec = tree.get("spec")
    if isinstance(spec, dict):
        image = spec.get("image")
        request = {key: value for key, value in spec.items() if key != "image"}
        problems += _problems(BuildRequest, request, "spec", request_problems)
        composed, found = _image(image, PREFIX, surroundings)
        problems += found
        if composed is not None and not problems:
            document = _document(tree["metadata"], composed, request)
            problems = [document.located(problem) for problem in key_problems(document.spec, document.request)]
            if not problems:
                return document
    else:
        problems.append(_not_a_mapping("spec", spec))
    raise SpecError(problems, hint=HINT)


def _document(metadata: Mapping[str, Any], composed: Composed, request: object) -> Document:
    return Document(
        spec=ImageSpec.model_validate(composed.tree),
        prefix=PREFIX,
        name=metadata["name"],
        namespace=metadata.get("namespace") or DEFAULT_NAMESPACE,
        request=BuildRequest.model_validate(request),
        tree=composed.tree,
        origins=composed.origins,
    )


def _image(image: object, prefix: str, surroundings: Surroundings | None) -> tuple[Composed | None, list[Problem]]:
    """Give an image's spec with all that it builds on, and what is wrong with that."""
    if not isinstance(image, dict):
        return None, [_not_a_mapping(prefix, image)]
    try:
        composed = compose(image, prefix, surroundings or Surroundings())
    except SpecError as error:
        return None, [*error.problems]
    return composed, [located(problem, composed.origins) for problem in _image_problems(composed.tree, prefix)]


def located(problem: Problem, origins: Mapping[str, Origin]) -> Problem:
    """Give a problem with the place where its value, or what should hold it, was written."""
    path, rest = problem.path, ""
    while path not in origins:
        parent = LAST_PART.sub("", path)
        if parent == path:
            return problem
        path, rest = parent, path[len(parent) :] + rest
    origin = origins[path]
    place = Origin(origin.source, (origin.path + rest).lstrip("."), origin.variables)
    return Problem(str(place), problem.message, problem.code)


LAST_PART = re.compile(r"([.]?[^.\[\]]+|\[('[^']*'|[^\]]*)\])$")
"""The end of a path: a field, or what stands in brackets."""


def read_placement(content: bytes, name: str) -> Placement | None:
    """Read where the results of a document go, whatever else is wrong with it; nothing when it doesn't say.

    Raises:
        SpecError: that part of it is wrong.
    """
    tree = parse(content, name)
    spec = tree.get("spec")
    if not _is_manifest(tree) or not isinstance(spec, dict) or spec.get("destination") is None:
        return None
    problems = [*_metadata_problems(tree)]
    destination = spec["destination"]
    if isinstance(destination, dict):
        problems += _problems(Destination, destination, "spec.destination", destination_problems)
    else:
        problems.append(_not_a_mapping("spec.destination", destination))
    if problems:
        raise SpecError(problems, hint=HINT)
    metadata = tree["metadata"]
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    return Placement(Destination.model_validate(destination).s3, namespace, metadata["name"])


def _is_manifest(tree: Mapping[str, Any]) -> bool:
    return not tree.keys().isdisjoint(MANIFEST_FIELDS)


def _header_problems(tree: Mapping[str, Any]) -> Iterator[Problem]:
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in tree:
            yield _missing(key)
        elif tree[key] != wanted:
            yield Problem(key, f"must be {wanted!r}, not {shown(tree[key])}")
    yield from _metadata_problems(tree)
    yield from _unknown(tree, MANIFEST_FIELDS, "")


def _metadata_problems(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """Give what is wrong with the name and the namespace, which become part of object keys."""
    metadata = tree.get("metadata", {})
    if not isinstance(metadata, dict):
        yield _not_a_mapping("metadata", metadata)
        return
    if metadata.get("name") is None:
        yield _missing("metadata.name")
    for key in ("name", "namespace"):
        value = metadata.get(key)
        try:
            if value is not None and (key, value) != ("namespace", ""):
                _OBJECT_NAME.validate_python(value)
        except ValidationError as error:
            yield from problems_of(error, f"metadata.{key}")


def _unknown(tree: Mapping[str, Any], known: Sequence[str], prefix: str) -> list[Problem]:
    return [
        Problem(join_path(prefix, (key,)), "unknown field", "SPEC_UNKNOWN_FIELD") for key in tree if key not in known
    ]


def _missing(path: str) -> Problem:
    return Problem(path, "is missing", "SPEC_MISSING_FIELD")


def _not_a_mapping(path: str, given: object) -> Problem:
    return _missing(path) if given is None else Problem(path, f"must be a mapping, not {shown(given)}")


def _image_problems(image: dict[str, Any], prefix: str) -> list[Problem]:
    placeholders = {"name": "x", "version": "0", "target": {"distribution": "x", "release": "0"}}
    return _problems(ImageSpec, image, prefix, spec_problems, placeholders)


def _problems(
    model: type[Model],
    tree: dict[str, Any],
    prefix: str,
    rules: Callable[[Model, str, frozenset[str]], list[Problem]],
    placeholders: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """Give every problem of a mapping: of its fields, and of what spans those fields that are right by themselves.

    Args:
        model: what it must be.
        tree: the mapping.
        prefix: its path in the user's document.
        rules: give what is wrong with a model whose fields are right; told which top-level fields are not the user's.
        placeholders: right values for the fields that must be there.
    """
    try:
        return rules(model.model_validate(tree), prefix, frozenset())
    except ValidationError as error:
        found = problems_of(error, prefix)
        wrong = frozenset(str(detail["loc"][0]) for detail in error.errors() if detail["loc"])
    rest = {key: value for key, value in tree.items() if key not in wrong}
    try:
        return found + rules(model.model_validate({**(placeholders or {}), **rest}), prefix, wrong)
    except ValidationError:
        return found
