"""The JSON Schema (2020-12) of the spec, generated from the models."""

from __future__ import annotations

from typing import Any

from image_composer.spec.image import ImageSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = "https://imagecomposer.dev/schema/v1alpha1/image.json"


def image_schema() -> dict[str, Any]:
    """Give the schema of the image's JSON spec."""
    schema = ImageSpec.model_json_schema(by_alias=True)
    return {"$schema": DIALECT, "$id": IDENTIFIER, **_tidied(schema)}


def _tidied(node: Any) -> Any:
    """Drop the titles that pydantic makes of names, which say nothing new, and the line breaks of our docstrings."""
    if isinstance(node, dict):
        return {
            key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _tidied(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_tidied(value) for value in node]
    return node
