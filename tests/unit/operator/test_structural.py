"""From JSON Schema to structural schema: what is rewritten, and that nothing is lost in silence."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from image_composer_operator.structural import Refinement, Rule, quoted, structural


class Colour(StrEnum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    """A part."""

    name: str = Field(max_length=8)
    colour: Colour = Colour.RED


class Whole(BaseModel):
    """The whole
    of it."""

    part: Part | None = Field(default=None, description="One part.")
    parts: list[Part] = Field(default_factory=lambda: [Part(name="a")], max_length=4)
    none: list[Part] = Field(default_factory=list, max_length=4)
    made: Part = Field(default_factory=lambda: Part(name="b"))
    constant: Literal["x"] = "x"
    text: str = ""
    number: Annotated[int, Field(ge=0, le=9)] | None = None
    either: Annotated[int, Field(ge=0)] | Annotated[str, Field(max_length=3)] = 0
    anything: dict[str, Any] = {}
    by_colour: dict[Literal["red", "blue"], Part] = Field(default_factory=dict, max_length=2)
    by_name: dict[Annotated[str, Field(pattern="^[a-z]+$", max_length=5)], str] = Field(
        default_factory=dict, max_length=2
    )


def properties(refinements: dict[str, Refinement] | None = None) -> dict[str, Any]:
    return dict(structural(Whole, refinements or {})["properties"])


PART = {"name": {"type": "string", "maxLength": 8}}
COLOUR = {"description": "A colour.", "type": "string", "enum": ["red", "blue"], "default": "red"}


def test_references_are_put_in_place_and_null_is_absence() -> None:
    assert properties()["part"] == {
        "description": "One part.",
        "type": "object",
        "required": ["name"],
        "properties": {**PART, "colour": COLOUR},
    }


def test_descriptions_are_one_line() -> None:
    assert structural(Whole, {})["description"] == "The whole of it."


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("part", None),
        ("parts", [{"name": "a", "colour": "red"}]),
        ("none", None),
        ("made", {"name": "b", "colour": "red"}),
        ("constant", "x"),
        ("text", None),
        ("number", None),
        ("anything", None),
    ],
)
def test_defaults_are_kept_where_they_say_more_than_absence(name: str, default: object) -> None:
    assert properties()[name].get("default") == default


def test_a_constant_is_a_choice_of_one() -> None:
    assert properties()["constant"] == {"type": "string", "enum": ["x"], "default": "x"}


def test_a_number_or_a_text_has_a_word_of_its_own() -> None:
    assert properties()["either"] == {
        "maxLength": 3,
        "minimum": 0,
        "x-kubernetes-int-or-string": True,
        "default": 0,
    }


def test_what_may_hold_anything_keeps_it() -> None:
    assert properties()["anything"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_what_keys_must_look_like_is_a_rule() -> None:
    found = properties()
    assert found["by_colour"]["x-kubernetes-validations"] == [
        {"rule": "self.all(key, key in ['red', 'blue'])", "message": "keys must be among 'red', 'blue'"}
    ]
    assert found["by_name"] == {
        "type": "object",
        "maxProperties": 2,
        "additionalProperties": {"type": "string"},
        "x-kubernetes-validations": [
            {
                "rule": "self.all(key, key.size() <= 5 && key.matches(r'^[a-z]+$'))",
                "message": "keys must match ^[a-z]+$",
            }
        ],
    }


def test_a_place_is_refined_wherever_its_model_stands() -> None:
    rule = Rule("self != 'x'", "is x", field_path=".a", reason="FieldValueRequired")
    found = properties(
        {
            "Part.name": Refinement(rules=[rule], pattern="^[a-z]+$", description="Short."),
            "Whole.parts": Refinement(list_keys=["name"]),
            "Whole.parts[]": Refinement(rules=[Rule("true", "never")]),
        }
    )
    name = {
        "description": "Short.",
        "type": "string",
        "maxLength": 8,
        "pattern": "^[a-z]+$",
        "x-kubernetes-validations": [
            {"rule": "self != 'x'", "message": "is x", "fieldPath": ".a", "reason": "FieldValueRequired"}
        ],
    }
    assert found["part"]["properties"]["name"] == name
    assert found["parts"]["items"]["properties"]["name"] == name
    assert found["parts"]["x-kubernetes-list-map-keys"] == ["name"]
    assert found["parts"]["items"]["x-kubernetes-validations"] == [{"rule": "true", "message": "never"}]
    assert "x-kubernetes-validations" not in found["part"]


def test_a_refinement_of_nothing_is_a_slip() -> None:
    with pytest.raises(ValueError, match=r"there is no Part\.size, Room"):
        properties({"Part.size": Refinement(), "Room": Refinement()})


class Unbounded(BaseModel):
    number: Annotated[float, Field(gt=0)]


class Alternatives(BaseModel):
    part: Part | Colour


class Fixed(BaseModel):
    pair: tuple[int, str]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Unbounded, "Unbounded.number: no structural schema means 'exclusiveMinimum'"),
        (Alternatives, "no structural schema means one of"),
        (Fixed, "Fixed.pair: no structural schema means 'prefixItems'"),
    ],
)
def test_what_has_no_counterpart_is_refused(model: type[BaseModel], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        structural(model, {})


def test_texts_of_cel_have_no_quotes() -> None:
    assert quoted(r"\s") == r"r'\s'"
    with pytest.raises(ValueError, match="quote"):
        quoted("'")
