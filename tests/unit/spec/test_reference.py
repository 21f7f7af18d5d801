"""docs/spec.md: current, complete, and its example is one."""

from __future__ import annotations

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_composer.spec import reference
from image_composer.spec.document import read_document
from image_composer.spec.image import ImageSpec
from image_composer.spec.layers.compose import Surroundings
from image_composer.spec.layers.fields import known_fields
from image_composer.spec.schema import image_schema
from support import golden

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


FIELDS = Path(reference.__file__).with_name("fields.yaml")
HEADER = """\
# In which version of the composer each field of the image's spec came, for docs/spec.md. A test holds it against the
# models (tests/unit/spec/test_reference.py). Versions in their order, fields in that of their names.
"""


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_every_field_says_in_which_version_it_came() -> None:
    """UPDATE_GOLDEN=1 adds new fields as those of the version that is worked on, and takes out those that went."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["version"]
    known = reference.field_versions()
    if os.environ.get("UPDATE_GOLDEN") != "1":
        new, gone = sorted(known_fields().keys() - known.keys()), sorted(known.keys() - known_fields().keys())
        hint = f"in spec/fields.yaml, or UPDATE_GOLDEN=1 does it; new fields are {project}'s"
        assert not new, f"new fields {', '.join(new)}: say in which version they came {hint}"
        assert not gone, f"there are no fields {', '.join(gone)} any more: take them out {hint}"
    by_version: dict[str, list[str]] = {}
    for place in sorted(known_fields()):
        by_version.setdefault(known.get(place, project), []).append(place)
    ordered = sorted(by_version, key=numbers)
    assert numbers(ordered[-1]) <= numbers(project), "a field can't have come in a version that isn't there yet"
    lists = (f'"{version}":\n' + "".join(f'  - "{place}"\n' for place in by_version[version]) for version in ordered)
    golden.check(FIELDS, HEADER + "".join(lists))


def test_a_field_that_nobody_has_given_a_version_does_not_pass_for_an_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "field_versions", lambda: {"name": "0.1.0"})
    page = reference.reference_markdown()
    assert "required; since 0.1.0.\n  Name of the image" in page
    assert "required; since the next version.\n  Version of the image" in page


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
