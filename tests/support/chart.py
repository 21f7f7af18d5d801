"""The Helm chart as tests see it: rendered, refused, and what of it is made of something else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from image_composer_operator.settings import OperatorSettings
from support.tools import helm

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "charts/image-composer"
RELEASE, NAMESPACE = "image-composer", "image-composer-system"
KUBERNETES = "1.34.0"
"""Version that templates are rendered for: a Helm of our own making knows none by itself."""

CHOSEN_BY_THE_CHART = ("builderImage", "builderImagePullPolicy", "metricsPort")
"""Settings that have no value of their own in `settings`."""

Object = dict[str, Any]


class RefusedError(Exception):
    """Helm did not take the values."""


def render(*files: Path, values: object = None, chart: Path = CHART) -> str:
    """Give the manifests of an installation.

    Raises:
        RefusedError: with what the user reads.
    """
    command: list[str | Path] = [
        helm(),
        "template",
        RELEASE,
        chart,
        "--namespace",
        NAMESPACE,
        "--kube-version",
        KUBERNETES,
    ]
    command += [f"--values={file}" for file in files]
    if values is not None:
        command.append("--values=-")
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def objects(*files: Path, values: object = None, chart: Path = CHART) -> list[Object]:
    """Give the objects of an installation."""
    return [document for document in yaml.safe_load_all(render(*files, values=values, chart=chart)) if document]


def only(found: list[Object], kind: str) -> Object:
    """Give the one object of a kind."""
    [one] = [candidate for candidate in found if candidate["kind"] == kind]
    return one


def settings_file(found: list[Object]) -> str:
    """Give the operator's settings file."""
    [text] = [found["data"]["settings.yaml"] for found in found if "settings.yaml" in found.get("data", {})]
    return str(text)


def settings_definitions() -> Object:
    """Give the `$defs` of the values' schema that describe the operator's settings: they are made of its model."""
    schema = OperatorSettings.model_json_schema(by_alias=True)
    definitions: Object = _tidied(schema.pop("$defs"))
    settings: Object = _tidied(schema)
    for name in CHOSEN_BY_THE_CHART:
        settings["properties"].pop(name)
    settings.pop("required")
    # `{}` stands for none.
    definitions["Destination"].pop("required")
    return {**definitions, "OperatorSettings": settings}


def values_table() -> str:
    """Give the table of all values, made of the comments in values.yaml."""
    rows = [
        f"| `{path}` | {'' if default is None else f'`{default}`'} | {meaning} |" for path, default, meaning in _rows()
    ]
    return "\n".join(["| Value | Default | Meaning |", "|-------|---------|---------|", *rows, ""])


def undocumented_values() -> list[str]:
    """Give the values without a comment."""
    return [path for path, _, meaning in _rows() if not meaning]


def _tidied(node: Any) -> Any:
    """Leave out what says nothing, and let `X or null` be X: whoever wants the default leaves a value out."""
    if isinstance(node, list):
        return [_tidied(value) for value in node]
    if not isinstance(node, dict):
        return node
    tidied: Object = {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _tidied(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and key != "default"
    }
    choices = [choice for choice in tidied.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del tidied["anyOf"]
        tidied = {**choices[0], **tidied}
    if "enum" in tidied.get("propertyNames", {}):
        # The same by another word, for which Helm's message names the place.
        names = tidied.pop("propertyNames")["enum"]
        tidied.pop("maxProperties", None)
        tidied |= {"properties": dict.fromkeys(names, tidied["additionalProperties"]), "additionalProperties": False}
    return tidied


@cache
def _lines() -> list[str]:
    return (CHART / "values.yaml").read_text().splitlines()


def _rows(node: yaml.Node | None = None, prefix: str = "") -> Iterator[tuple[str, str | None, str]]:
    """Give path, default and meaning of each value; a map whose keys have comments of their own has no default here."""
    if node is None:
        node = yaml.compose((CHART / "values.yaml").read_text())
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        path, meaning = f"{prefix}{key.value}", _comment_above(key.start_mark.line)
        inner = isinstance(value, yaml.MappingNode) and any(
            child.start_mark.line > key.start_mark.line and _comment_above(child.start_mark.line)
            for child, _ in value.value
        )
        if not inner:
            default = yaml.SafeLoader("").construct_document(value) if value.value else _empty(value)
            yield path, json.dumps(default, ensure_ascii=False), meaning
            continue
        if meaning:
            yield path, None, meaning
        yield from _rows(value, f"{path}.")


def _empty(value: yaml.Node) -> Any:
    return {} if isinstance(value, yaml.MappingNode) else [] if isinstance(value, yaml.SequenceNode) else ""


def _comment_above(line: int) -> str:
    words: list[str] = []
    while line and _lines()[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, _lines()[line].lstrip()[1:].strip())
    return " ".join(words).replace("|", "\\|")
