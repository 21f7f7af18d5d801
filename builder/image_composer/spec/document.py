"""Reading the user's document: YAML or JSON, an `ImageBuild` manifest or the bare JSON spec of an image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from image_composer.errors import Problem, SpecError
from image_composer.spec.image import ImageSpec
from image_composer.spec.rules import spec_problems

API_GROUP = "imagecomposer.dev"
API_VERSION = f"{API_GROUP}/v1alpha1"
KIND = "ImageBuild"
PREFIX = "spec.image"
"""Path of the image's spec in a manifest."""

MAX_BYTES = 1 << 20
"""Largest document read: what etcd stores of one object, with room to spare."""

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
    if "apiVersion" in tree or "kind" in tree:
        return Document(_validate(_manifest_image(tree), PREFIX), PREFIX)
    return Document(_validate(tree, ""), "")


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Parse JSON or YAML to a mapping; one document, no key twice.

    Raises:
        SpecError: SPEC_MALFORMED says where.
    """
    if len(content) > MAX_BYTES:
        _malformed(name, f"is larger than {MAX_BYTES >> 10} KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        _malformed(name, f"is not UTF-8 text (byte {error.start})")
    tree = _parse_json(text, name) if text.lstrip().startswith("{") else _parse_yaml(text, name)
    if not isinstance(tree, dict):
        _malformed(name, "is empty" if tree is None else "must hold a mapping, not a list or a single value")
    return tree


def problems_of(error: ValidationError, prefix: str) -> list[Problem]:
    """Give pydantic's findings as problems with paths as users write them."""
    return [Problem(join_path(prefix, detail["loc"]), _sentence(detail), _code(detail)) for detail in error.errors()]


def join_path(prefix: str, parts: tuple[int | str, ...]) -> str:
    """Give a path such as `spec.image.packages[3]`."""
    path = prefix
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return path


def _manifest_image(tree: Mapping[str, Any]) -> dict[str, Any]:
    problems = []
    if tree.get("apiVersion") != API_VERSION:
        problems.append(Problem("apiVersion", f"must be {API_VERSION!r}, not {tree.get('apiVersion')!r}"))
    if tree.get("kind") != KIND:
        problems.append(Problem("kind", f"must be {KIND!r}, not {tree.get('kind')!r}"))
    metadata = tree.get("metadata", {})
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        problems.append(Problem("metadata.name", "is missing"))
    problems += [
        Problem(key, "unknown field") for key in tree if key not in ("apiVersion", "kind", "metadata", "spec", "status")
    ]
    spec = tree.get("spec")
    image = spec.get("image") if isinstance(spec, dict) else None
    if not isinstance(spec, dict):
        problems.append(Problem("spec", "is missing" if spec is None else "must be a mapping"))
    elif not isinstance(image, dict):
        problems.append(Problem(PREFIX, "is missing" if image is None else "must be a mapping"))
    if isinstance(spec, dict):
        problems += [Problem(f"spec.{key}", "unknown field") for key in spec if key != "image"]
    if isinstance(image, dict):
        if problems:
            problems += _collect(image, PREFIX)
        else:
            return image
    raise SpecError(problems, hint=HINT)


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
    number_for_text = kind == "string_type" and isinstance(given, (int, float))
    sentences = {
        "extra_forbidden": "unknown field",
        "missing": "is missing",
        "value_error": str(context.get("error")),
        "enum": f"must be {context.get('expected')}, not {given!r}",
        "string_pattern_mismatch": f"{given!r} does not match {context.get('pattern')}",
        "string_type": f'must be text; quote it: "{given}"' if number_for_text else "must be text",
    }
    return sentences.get(kind, detail["msg"][0].lower() + detail["msg"][1:])


def _code(detail: ErrorDetails) -> str:
    return {"extra_forbidden": "SPEC_UNKNOWN_FIELD", "missing": "SPEC_MISSING_FIELD"}.get(
        detail["type"], "SPEC_INVALID"
    )


def _parse_json(text: str, name: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                _malformed(name, f"has the key {key!r} twice")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        _malformed(name, f"is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}")
    except RecursionError:
        _malformed(name, "is nested too deeply")


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, and aliases, which can blow a small file up."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in the stubs
            raise yaml.constructor.ConstructorError(None, None, "aliases are not supported", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if not isinstance(key, str):
                message = f"the key {key!r} must be text"
                raise yaml.constructor.ConstructorError(None, None, message, node.value[number][0].start_mark)
            if key in keys[:number]:
                message = f"the key {key!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, message, node.value[number][0].start_mark)
        return super().construct_mapping(node, deep)


def _parse_yaml(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a safe loader of our own
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        _malformed(name, f"is not valid YAML: {where}{error.problem}")
    except (yaml.YAMLError, ValueError) as error:
        _malformed(name, f"is not valid YAML: {error}")
    except RecursionError:
        _malformed(name, "is nested too deeply")


def _malformed(name: str, message: str) -> NoReturn:
    raise SpecError([Problem("", f"{name} {message}", "SPEC_MALFORMED")])
