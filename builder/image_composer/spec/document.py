"""Reading the user's document: YAML or JSON, an `ImageBuild` manifest or the bare JSON spec of an image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from image_composer.errors import Problem, SpecError
from image_composer.spec.image import ImageSpec
from image_composer.spec.parse import parse, shown
from image_composer.spec.rules import spec_problems

API_GROUP = "imagecomposer.dev"
API_VERSION = f"{API_GROUP}/v1alpha1"
KIND = "ImageBuild"
PREFIX = "spec.image"
"""Path of the image's spec in a manifest."""

MANIFEST_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
"""Fields of a manifest; the cluster adds `status`. A bare spec has none of them."""

HINT = "'image-composer schema' prints what a document may hold; docs/spec.md explains it"


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document."""

    spec: ImageSpec
    prefix: str
    """Path of the spec in the user's file, for messages: `spec.image`, or nothing for a bare spec."""

    def path(self, field: str) -> str:
        """Give the path of a field of the spec in the user's file."""
        return f"{self.prefix}.{field}" if self.prefix else field


def read_document(content: bytes, name: str) -> Document:
    """Read and check a document.

    Args:
        content: of the file, UTF-8.
        name: of the file, for messages.

    Raises:
        SpecError: everything that is wrong with it, each with its path.
    """
    tree = parse(content, name)
    if not tree.keys().isdisjoint(MANIFEST_FIELDS):
        return Document(_validate(_manifest_image(tree), PREFIX), PREFIX)
    return Document(_validate(tree, ""), "")


def problems_of(error: ValidationError, prefix: str) -> list[Problem]:
    """Give pydantic's findings as problems with paths as users write them."""
    return [Problem(join_path(prefix, detail["loc"]), _sentence(detail), _code(detail)) for detail in error.errors()]


def join_path(prefix: str, parts: tuple[int | str, ...]) -> str:
    """Give a path such as `spec.image.packages[3]`; names that no field can have are quoted."""
    path = prefix
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += (f".{part}" if path else part) if FIELD_NAME.fullmatch(part) else f"[{shown(part)}]"
    return path


FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names that stand in a path as they are: those of fields and of archives."""


def _manifest_image(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Give the image's spec of a manifest whose own fields are right."""
    problems = [*_header_problems(tree)]
    spec, image = tree.get("spec"), None
    if isinstance(spec, dict):
        problems += _unknown(spec, ("image",), "spec")
        image = spec.get("image")
        if not isinstance(image, dict):
            problems.append(_not_a_mapping(PREFIX, image))
    else:
        problems.append(_not_a_mapping("spec", spec))
    if isinstance(image, dict):
        if not problems:
            return image
        problems += _collect(image, PREFIX)
    raise SpecError(problems, hint=HINT)


def _header_problems(tree: Mapping[str, Any]) -> Iterator[Problem]:
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in tree:
            yield _missing(key)
        elif tree[key] != wanted:
            yield Problem(key, f"must be {wanted!r}, not {shown(tree[key])}")
    metadata = tree.get("metadata", {})
    if not isinstance(metadata, dict):
        yield _not_a_mapping("metadata", metadata)
    elif metadata.get("name") is None:
        yield _missing("metadata.name")
    elif not isinstance(metadata["name"], str):
        yield Problem("metadata.name", _must_be_text(metadata["name"]))
    yield from _unknown(tree, MANIFEST_FIELDS, "")


def _unknown(tree: Mapping[str, Any], known: Sequence[str], prefix: str) -> list[Problem]:
    return [
        Problem(join_path(prefix, (key,)), "unknown field", "SPEC_UNKNOWN_FIELD") for key in tree if key not in known
    ]


def _missing(path: str) -> Problem:
    return Problem(path, "is missing", "SPEC_MISSING_FIELD")


def _not_a_mapping(path: str, given: object) -> Problem:
    return _missing(path) if given is None else Problem(path, f"must be a mapping, not {shown(given)}")


def _validate(image: dict[str, Any], prefix: str) -> ImageSpec:
    problems = _collect(image, prefix)
    if problems:
        raise SpecError(problems, hint=HINT)
    return ImageSpec.model_validate(image)


def _collect(image: dict[str, Any], prefix: str) -> list[Problem]:
    """Give every problem of a spec: of its fields, and of what spans those fields that are right by themselves."""
    try:
        return spec_problems(ImageSpec.model_validate(image), prefix, frozenset())
    except ValidationError as error:
        found = problems_of(error, prefix)
        wrong = frozenset(str(detail["loc"][0]) for detail in error.errors() if detail["loc"])
    rest = {key: value for key, value in image.items() if key not in wrong}
    placeholders = {"name": "x", "version": "0", "target": {"distribution": "x", "release": "0"}}
    try:
        return found + spec_problems(ImageSpec.model_validate({**placeholders, **rest}), prefix, wrong)
    except ValidationError:
        return found


def _sentence(detail: ErrorDetails) -> str:
    """Give the sentence that a user reads for one of pydantic's findings."""
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    sentences = {
        "extra_forbidden": "unknown field",
        "missing": "is missing",
        "value_error": str(context.get("error")),
        "enum": f"must be {context.get('expected')}, not {shown(given)}",
        "string_pattern_mismatch": f"{shown(given)} does not match {context.get('pattern')}",
        "string_type": _must_be_text(given),
        "model_type": f"must be a mapping, not {shown(given)}",
        "dict_type": f"must be a mapping, not {shown(given)}",
        "list_type": f"must be a list, not {shown(given)}",
    }
    return sentences.get(kind, detail["msg"][0].lower() + detail["msg"][1:])


def _must_be_text(given: object) -> str:
    """Say what to do about a value that YAML takes for something else, such as the release 12.

    Only whole numbers look here as they were written: 1.10 is 1.1 by now, and `no` is false.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return f'must be text; quote it: "{shown(given)}"'
    return "must be text" if given is None or isinstance(given, (list, dict)) else "must be text; put it in quotes"


def _code(detail: ErrorDetails) -> str:
    return {"extra_forbidden": "SPEC_UNKNOWN_FIELD", "missing": "SPEC_MISSING_FIELD"}.get(
        detail["type"], "SPEC_INVALID"
    )
