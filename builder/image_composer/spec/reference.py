"""docs/spec.md, generated: whatever the models say, people read the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from image_composer.spec.image import ImageSpec
from image_composer.spec.schema import image_schema

Schema = Mapping[str, Any]

INTRODUCTION = """\
# The spec of an image

<!-- Generated: image-composer schema --markdown > docs/spec.md -->

A document describes one image. It is written in YAML or JSON and comes in two forms that mean the same: an `ImageBuild`
as a cluster takes it, with the image below `spec.image`, or just what stands there. Every command takes both.

    apiVersion: imagecomposer.dev/v1alpha1        name: edge-gateway
    kind: ImageBuild                              version: "1.4.0"
    metadata: {name: edge-gateway}                target: {distribution: debian, release: "12"}
    spec:                                         packages: [openssh-server]
      image:
        name: edge-gateway
        version: "1.4.0"
        target: {distribution: debian, release: "12"}
        packages: [openssh-server]

Beside the image, a manifest says where the results go (`destination`: [publishing.md](publishing.md)) and how a cluster
builds them (`build`, `suspend`, `cancel`, `retention`, `lockRef`, `secureBoot`: `kubectl explain imagebuild.spec`).
This page is about the image.

- `image-composer validate FILE` lists everything that is wrong with a document at once, each with its path.
- Unknown fields are errors, so that a slip can't go unnoticed. So are a key given twice, YAML's aliases and tags, more
  than one document in a file, and a file of more than 1 MiB.
- YAML takes `12` and `1.10` for numbers: put versions and releases in quotes.
- Each field says in which version of the composer it came.
- `image-composer schema` prints a JSON Schema (2020-12) of the image for editors; it is also in
  [schema/image.schema.json](schema/image.schema.json). It covers each field by itself. What spans fields is checked by
  `validate` only.
"""


UNRELEASED = "the next version"
"""Said of a field that fields.yaml doesn't have yet; a test asks for it."""


def field_versions() -> Mapping[str, str]:
    """Give the version in which each field came, by its place, for example `users[].sudo`."""
    text = (files(__package__) / "fields.yaml").read_text(encoding="utf-8")
    return {place: version for version, places in yaml.safe_load(text).items() for place in places}


def reference_markdown() -> str:
    """Give the reference page of the spec: every field with its type, default, version, meaning and an example."""
    schema = image_schema()
    whole = (files(__package__) / "example.yaml").read_text(encoding="utf-8")
    example = yaml.safe_load(whole)["spec"]["image"]
    sections = _sections(schema, ImageSpec, example, "", field_versions())
    listing = "".join(f"    {line}".rstrip() + "\n" for line in whole.splitlines())
    return f"{INTRODUCTION}\n{''.join(sections)}## A document that uses every field\n\n{listing}"


def _sections(
    schema: Schema, model: type[BaseModel], example: Mapping[str, Any], path: str, versions: Mapping[str, str]
) -> Iterator[str]:
    """Give the section of a model, and those of the models in its fields."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    node = schema if model is ImageSpec else schema["$defs"][model.__name__]
    entries: list[str] = []
    below: list[str] = []
    for name, entry in node["properties"].items():
        field, value, place = fields[name], example[name], f"{path}.{name}".lstrip(".")
        presence = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        since = versions.get(place, UNRELEASED)
        kind = _type(schema, entry, place)
        entries.append(f"- **`{name}`**: {kind}; {presence}; since {since}.\n  {entry['description']}\n")
        inner, is_list = _model_in(field.annotation)
        if inner is None:
            entries.append(f"  Example: `{json.dumps(_short(value))}`\n")
        elif is_list:
            union = {key: given for item in value for key, given in item.items()}
            below += _sections(schema, inner, union, f"{place}[]", versions)
        else:
            below += _sections(schema, inner, value, place, versions)
    yield f"## {f'`{path}`' if path else 'The image'}\n\n{node['description']}\n\n{''.join(entries)}\n"
    yield from below


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Give the model that a field holds if it is there, and whether it holds a list of them."""
    is_list = get_origin(annotation) is list
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    is_optional = type(None) in get_args(annotation) and len(arguments) == 1
    held = arguments[0] if is_list or is_optional else annotation
    return (held if isinstance(held, type) and issubclass(held, BaseModel) else None), is_list


def _type(schema: Schema, entry: Mapping[str, Any], path: str) -> str:
    """Say what the field at a path holds."""
    if "anyOf" in entry:
        entry = next(choice for choice in entry["anyOf"] if choice.get("type") != "null")
    if "$ref" in entry:
        referred = schema["$defs"][entry["$ref"].rsplit("/", 1)[1]]
        values = ", ".join(f"`{value}`" for value in referred.get("enum", ()))
        return f"one of {values}" if values else f"[{path}](#{_anchor(path)})"
    if entry["type"] == "array":
        return f"list of at most {entry['maxItems']}, each {_type(schema, entry['items'], f'{path}[]')}"
    return _scalar(entry)


def _scalar(entry: Mapping[str, Any]) -> str:
    if entry["type"] == "boolean":
        return "true or false"
    if entry["type"] == "integer":
        return f"whole number from {entry['minimum']} to {entry['maximum']}"
    if entry["type"] == "object":
        return f"mapping of names to {_values(entry)}, at most {entry['maxProperties']}"
    form = f" like `{entry['pattern']}`" if "pattern" in entry else ""
    length = f", at most {entry['maxLength']} characters" if "maxLength" in entry else ""
    return f"text{form}{length}"


def _values(entry: Mapping[str, Any]) -> str:
    """Say what a mapping's values are."""
    held: Mapping[str, Any] = entry.get("additionalProperties") or next(
        iter(entry.get("patternProperties", {}).values()), {}
    )
    return "numbers" if held.get("type") == "integer" else "text"


def _anchor(title: str) -> str:
    """Give the anchor that renderers of Markdown make of a heading."""
    return "".join(character for character in title.lower() if character.isalnum() or character in "-_")


def _default(value: object) -> str:
    if isinstance(value, BaseModel):
        return "the defaults of its fields when absent"
    if isinstance(value, list):
        value = [item.model_dump(mode="json") if isinstance(item, BaseModel) else item for item in value]
    return "absent by default" if value is None else f"default `{json.dumps(value)}`"


def _short(value: Any) -> Any:
    """Cut what is only long."""
    if isinstance(value, str) and len(value) > 64:
        return f"{value[:60]}..."
    if isinstance(value, list):
        return [_short(item) for item in value]
    return value
