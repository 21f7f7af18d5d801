"""docs/spec.md: current, complete, and its example is one."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from image_composer.spec import reference
from image_composer.spec.document import read_document
from image_composer.spec.image import ImageSpec
from image_composer.spec.layers.compose import Surroundings
from image_composer.spec.schema import image_schema

EXAMPLE = (files("image_composer.spec") / "example.yaml").read_bytes()


def test_the_committed_page_is_current() -> None:
    """If not: image-composer schema --markdown > docs/spec.md."""
    assert (Path(__file__).parents[3] / "docs/spec.md").read_text() == reference.reference_markdown()


def test_the_page_tells_of_every_field() -> None:
    page = reference.reference_markdown()
    for node in (image_schema(), *image_schema()["$defs"].values()):
        for name, entry in node.get("properties", {}).items():
            assert f"- **`{name}`**: " in page
            assert entry["description"] in page


def test_links_of_the_page_lead_somewhere() -> None:
    page = reference.reference_markdown()
    anchors = {reference._anchor(line[3:]) for line in page.splitlines() if line.startswith("## ")}
    linked = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert linked
    assert linked <= anchors


def test_the_example_is_right_and_uses_every_field() -> None:
    bases = Surroundings(load=lambda _: {"packages": ["nano"]})
    document = read_document(EXAMPLE, "example.yaml", bases)
    spec = document.spec
    written = yaml.safe_load(EXAMPLE)["spec"]["image"]
    assert used(document.tree) == used(spec.model_dump(mode="json"))
    assert used(written) - used(document.tree) >= {"extends", "variables", "values", "template"}
    assert "nano" not in spec.packages
    assert spec.files[0].content == "listen = 0.0.0.0:443\n"
    assert spec != ImageSpec.model_validate({key: written[key] for key in ("name", "version", "target")})


def used(tree: Any) -> set[str]:
    """Give the names of all fields in a tree."""
    if isinstance(tree, dict):
        return {*tree, *(name for value in tree.values() for name in used(value))}
    if isinstance(tree, list):
        return {name for value in tree for name in used(value)}
    return set()
