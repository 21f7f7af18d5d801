"""What the models say about places of a document: `users[].sudo` is that field of every user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from image_composer.spec.image import ImageSpec


def below(place: str, name: str) -> str:
    """Give the place of a field."""
    return f"{place}.{name}" if place else name


@cache
def known_fields() -> Mapping[str, FieldInfo]:
    """Give every field of the image's spec by its place."""
    return MappingProxyType(dict(_fields(ImageSpec, "")))


def is_default(place: str, value: Any) -> bool:
    """Say whether a value is what the field at a place holds when it is absent."""
    field = known_fields().get(place)
    if field is None or field.is_required():
        return False
    try:
        given = _adapter(place).validate_python(value)
    except ValidationError:
        return False
    return bool(given == field.get_default(call_default_factory=True))


def without_defaults(tree: Any, place: str = "") -> Any:
    """Leave out what is not said: an API server writes the defaults into every object."""
    if isinstance(tree, dict):
        kept = {key: value for key, value in tree.items() if not is_default(below(place, key), value)}
        return {key: without_defaults(value, below(place, key)) for key, value in kept.items()}
    return [without_defaults(value, f"{place}[]") for value in tree] if isinstance(tree, list) else tree


@cache
def _adapter(place: str) -> TypeAdapter[Any]:
    annotation: Any = known_fields()[place].annotation
    return TypeAdapter(annotation)


def _fields(model: type[BaseModel], place: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        here = below(place, field.alias or name)
        yield here, field
        inner, is_list = held_model(field.annotation)
        if inner is not None:
            yield from _fields(inner, f"{here}[]" if is_list else here)


def held_model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Give the model that a field holds, and whether it holds a list of them."""
    if get_origin(annotation) is UnionType:  # it may be absent
        annotation = next(choice for choice in get_args(annotation) if choice is not NoneType)
    is_list = get_origin(annotation) is list
    held = get_args(annotation)[0] if is_list else annotation
    return (held if isinstance(held, type) and issubclass(held, BaseModel) else None), is_list
