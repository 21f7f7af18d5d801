"""docs/operator.md knows everything that the operator says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from image_composer.spec.document import check_manifest
from image_composer_operator.reasons import ConditionType, Reason

TEXT = (Path(__file__).parents[3] / "docs/operator.md").read_text()


def rows(first: str) -> list[list[str]]:
    """Give the cells of the table rows that begin with a word."""
    lines = [line for line in TEXT.splitlines() if line.startswith(f"| `{first}` |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    [[_, meaning, _]] = rows(reason)
    assert meaning.endswith(".")


@pytest.mark.parametrize("condition", ConditionType)
def test_every_condition_is_explained(condition: ConditionType) -> None:
    [cells] = rows(condition)
    assert all(cells)


def test_the_first_example_is_right() -> None:
    _, _, rest = TEXT.partition("```yaml\n")
    example, _, _ = rest.partition("```")
    assert check_manifest(yaml.safe_load(example)).request.destination is not None
