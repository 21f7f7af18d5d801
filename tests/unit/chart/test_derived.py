"""What of the chart is made of something else, and must not drift from it."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from image_composer.digest import pretty_json
from support import golden
from support.chart import CHART, PROJECT, settings_definitions, undocumented_values, values_table

SCHEMA = CHART / "values.schema.json"


def schema() -> dict[str, Any]:
    return dict(json.loads(SCHEMA.read_text()))


def test_the_custom_resource_definition_is_the_generated_one() -> None:
    golden.check(CHART / "files/imagebuilds.yaml", (PROJECT / "crds/imagebuilds.yaml").read_text())


def test_the_schema_knows_the_operators_settings() -> None:
    own = {name: node for name, node in schema()["$defs"].items() if name[0].islower()}
    golden.check(SCHEMA, pretty_json({**schema(), "$defs": {**own, **settings_definitions()}}))


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(schema())


def test_every_value_has_a_comment_and_a_row_in_the_readme() -> None:
    assert undocumented_values() == []
    golden.check_part(CHART / "README.md", "values", values_table())


def test_the_chart_has_the_projects_version() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project["version"], project["version"])


def test_every_value_is_known_to_the_schema_and_says_what_it_means() -> None:
    definitions = schema()["$defs"]

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        return dict(definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node)

    def described(node: dict[str, Any]) -> str:
        return str(node.get("description") or resolve(node).get("description", ""))

    def walk(values: dict[str, Any], node: dict[str, Any], path: str) -> None:
        resolved = resolve(node)
        for name, value in values.items():
            if "properties" not in resolved:
                return
            entry = resolved["properties"].get(name)
            assert entry, f"{path}{name} is not in the schema"
            assert described(entry).endswith("."), f"{path}{name} has no description"
            # What stands below `settings` is the model's.
            if isinstance(value, dict) and name != "settings":
                walk(value, entry, f"{path}{name}.")

    walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema(), "")


@pytest.mark.parametrize("file", sorted((CHART / "files").glob("*.json")), ids=lambda file: file.name)
def test_json_files_are_written_as_ours_are(file: Any) -> None:
    golden.check(file, pretty_json(json.loads(file.read_text())))
