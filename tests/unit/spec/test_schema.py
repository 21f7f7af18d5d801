"""The JSON Schema of the spec, for editors: right by its own rules, and of one mind with the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from image_composer.digest import pretty_json
from image_composer.spec.image import ImageSpec
from image_composer.spec.schema import image_schema
from support.specs import MINIMAL, PARTITIONS, bare

PROJECT = Path(__file__).parents[3]
VALIDATOR = Draft202012Validator(image_schema())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(image_schema())
    assert image_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_committed_schema_is_current() -> None:
    """If not: image-composer schema > docs/schema/image.schema.json."""
    assert (PROJECT / "docs/schema/image.schema.json").read_text() == pretty_json(image_schema())


@pytest.mark.parametrize("example", sorted((PROJECT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_schema_takes_the_examples(example: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(example.read_text())["spec"]["image"])


def test_the_schema_takes_what_is_written_of_a_spec() -> None:
    VALIDATOR.validate(ImageSpec.model_validate(MINIMAL).model_dump(mode="json"))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "edge"},
        bare(name="Edge"),
        bare(version=1),
        bare(colour="red"),
        bare(target={"distribution": "debian", "release": "12", "architecture": "arm"}),
        bare(packages="curl"),
        bare(packages=["x" * 257]),
        bare(users=[{"name": "a", "uid": 1}]),
        bare(users=[{"name": "a", "uid": "1000"}]),
        bare(installRecommends="yes"),
        bare(disk={"partitions": [{**PARTITIONS[0], "colour": "red"}]}),
        bare(disk={"size": "8GB"}),
        bare(outputs=[]),
        bare(mirrors={"debian": "x"}),
        bare(kernel={"commandLine": ["a\nb"]}),
        bare(sourceDateEpoch=0),
    ],
)
def test_the_schema_and_the_models_refuse_the_same(wrong: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(wrong)
    with pytest.raises(ValueError, match="ImageSpec"):
        ImageSpec.model_validate(wrong)


def test_every_field_says_what_it_means() -> None:
    schema = image_schema()
    for node in (schema, *schema["$defs"].values()):
        assert node["description"]
        for name, entry in node.get("properties", {}).items():
            assert entry.get("description", "").endswith("."), name
            assert "\n" not in entry["description"]
            assert "title" not in entry
