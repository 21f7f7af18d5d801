"""From the JSON Schema of our models to the structural schema that a CustomResourceDefinition needs.

A structural schema has no references, no alternatives and no `additionalProperties: false`; every field has one type:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
What the models say beyond that must be said in CEL, see `admission`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, NoDefault
from pydantic_core import core_schema

Schema = dict[str, Any]

KEPT = (
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-int-or-string",
)
"""Keywords that mean the same in both, in the order in which they are written."""

UNDERSTOOD = {
    *KEPT,
    "$defs",
    "additionalProperties",
    "default",
    "description",
    "items",
    "patternProperties",
    "properties",
    "propertyNames",
    "title",
}
"""Keywords of JSON Schema that are rewritten or said in another way; what is not here has no counterpart."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in CEL, with the sentence that a user reads when it is broken."""

    rule: str
    message: str
    message_expression: str | None = None
    """A better sentence, worked out; `message` is shown where that fails."""

    field_path: str | None = None
    """The field it is about, where that is not the one it stands at."""

    reason: Literal["FieldValueInvalid", "FieldValueRequired"] = "FieldValueInvalid"
    """How the API server calls it."""

    def as_json(self) -> Schema:
        """Give the rule as an entry of x-kubernetes-validations."""
        entry = {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.message_expression,
            "fieldPath": self.field_path,
            "reason": None if self.reason == "FieldValueInvalid" else self.reason,
        }
        return {key: value for key, value in entry.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a place of the schema gets beyond what its model says."""

    rules: Sequence[Rule] = ()
    pattern: str | None = None
    """What a text looks like that a function of ours checks otherwise."""

    list_keys: Sequence[str] = ()
    """Fields that tell a list's items apart: a list that several managers can each hold items of."""

    description: str | None = None
    """Added to the description."""


NOTHING = Refinement()


def structural(model: type[BaseModel], refinements: Mapping[str, Refinement]) -> Schema:
    """Give the structural schema of a model.

    Args:
        model: of the document.
        refinements: by place: `User` is every user, `User.groups` their list of groups, `User.groups[]` each of these.

    Raises:
        ValueError: the models say what no structural schema can, or a refinement is for a place that isn't there.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_WithFactories)
    builder = _Builder(schema.get("$defs", {}), refinements)
    built = builder.node(schema, model.__name__)
    unused = sorted(refinements.keys() - builder.visited)
    if unused:
        raise ValueError(f"there is no {', '.join(unused)}")
    return built


class _WithFactories(GenerateJsonSchema):
    """Schemas that also show the defaults that functions make."""

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        """Give the default of a field."""
        factory = schema.get("default_factory")
        if factory is None or schema.get("default_factory_takes_data"):
            return schema.get("default", NoDefault)
        return cast("Callable[[], object]", factory)()


class _Builder:
    """Builds the schema from the definitions of one JSON Schema."""

    def __init__(self, definitions: Mapping[str, Schema], refinements: Mapping[str, Refinement]) -> None:
        self.visited: set[str] = set()
        self._definitions = definitions
        self._refinements = refinements

    def node(self, given: Mapping[str, Any], place: str) -> Schema:
        """Give the structural schema of what stands at a place."""
        schema, model = self._resolved(given)
        for key in schema:
            if key not in UNDERSTOOD:
                raise ValueError(f"{place}: no structural schema means {key!r}")
        places = [place, model] if model else [place]
        self.visited |= {*places}
        extra = [self._refinements.get(name, NOTHING) for name in places]
        description = _one_line(schema.get("description"), *(item.description for item in extra))
        node: Schema = {"description": description} if description else {}
        node |= {key: schema[key] for key in KEPT if key in schema} | _default(schema)
        if schema.get("type") == "integer":
            node["format"] = "int64"
        below, rules = self._below(schema, place, model or place)
        node |= below
        for item in extra:
            rules += item.rules
            if item.pattern:
                node["pattern"] = item.pattern
            if item.list_keys:
                node |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [*item.list_keys]}
        return node | ({"x-kubernetes-validations": [rule.as_json() for rule in rules]} if rules else {})

    def _resolved(self, given: Mapping[str, Any]) -> tuple[Schema, str | None]:
        """Follow references and leave out that a field may be null: absent means the same.

        Returns:
            The schema, and the name of the model it is of.
        """
        schema, model = dict(given), None
        while "$ref" in schema or "anyOf" in schema:
            if "$ref" in schema:
                model = schema.pop("$ref").rsplit("/", 1)[1]
                schema = {**self._definitions[model], **schema}
            else:
                schema = {**_only_one(schema.pop("anyOf")), **schema}
        if "const" in schema:
            schema["enum"] = [schema.pop("const")]
        return schema, model

    def _below(self, schema: Schema, place: str, model: str) -> tuple[Schema, list[Rule]]:
        """Give what is below a node, and the rules for a mapping's keys, for which there is no other way."""
        if "properties" in schema:
            below = {name: self.node(child, f"{model}.{name}") for name, child in schema["properties"].items()}
            return {"properties": below}, []
        if "items" in schema:
            return {"items": self.node(schema["items"], f"{place}[]")}, []
        if schema.get("type") != "object":
            return {}, []
        values = schema.get("additionalProperties", True)
        names, rules = schema.get("propertyNames", {}), []
        if "enum" in names:
            known = ", ".join(f"'{name}'" for name in names["enum"])
            rules = [Rule(f"self.all(key, key in [{known}])", f"keys must be among {known}")]
        if "patternProperties" in schema:
            ((pattern, values),) = schema["patternProperties"].items()
            rule = f"self.all(key, key.size() <= {names['maxLength']} && key.matches({quoted(pattern)}))"
            rules = [Rule(rule, f"keys must match {pattern}")]
        if values is True:
            return {"x-kubernetes-preserve-unknown-fields": True}, rules
        return {"additionalProperties": self.node(values, f"{place}{{}}")}, rules


def quoted(text: str) -> str:
    """Give a text as a literal of CEL, in which a backslash is just that."""
    if "'" in text:
        raise ValueError(f"{text!r} has a quote")
    return f"r'{text}'"


def _one_line(*sentences: str | None) -> str:
    return " ".join(" ".join(filter(None, sentences)).split())


def _only_one(choices: list[Schema]) -> Schema:
    """Give the alternative that is left without null, or the one pair for which Kubernetes has a word."""
    choices = [choice for choice in choices if choice.get("type") != "null"]
    if [choice.get("type") for choice in choices] == ["integer", "string"]:
        limits = {key: value for choice in choices for key, value in choice.items() if key != "type"}
        return {**limits, "x-kubernetes-int-or-string": True}
    if len(choices) != 1:
        raise ValueError(f"no structural schema means one of {choices}")
    return choices[0]


def _default(schema: Schema) -> Schema:
    """Give the default, where it says more than its absence."""
    default = _pruned(schema.get("default"))
    if _is_empty(default) or (isinstance(default, dict) and not any(default.values())):
        return {}
    return {"default": default}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: kept for key, below in value.items() if not _is_empty(kept := _pruned(below))}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})
