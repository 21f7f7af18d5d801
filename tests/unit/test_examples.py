from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.provider import find_manifest, load_providers
from image_composer.spec.document import read_document
from image_composer.spec.layers.compose import Surroundings
from image_composer.spec.rules_target import target_problems
from image_composer.steps.bases import Bases

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("*/*.yaml")])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_right_and_can_be_carried_out_by_its_distribution(path: Path) -> None:
    document = read_document(path.read_bytes(), path.name, Surroundings(Bases(path.parent, None).load))
    provider, manifest, _ = find_manifest(load_providers(), document.spec, document.path("target"))
    assert target_problems(document.spec, manifest, document.prefix) == []
    assert not provider.problems(document.spec, manifest)


def test_there_is_an_example_of_each_distribution() -> None:
    alone = FOLDER.glob("*.yaml")
    targets = {read_document(path.read_bytes(), path.name).spec.target.distribution for path in alone}
    assert targets == set(load_providers())
