"""How a document builds on others: what it extends, what it takes out of that, and the variables that it declares."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import RelativePath, SpecModel
from image_composer.spec.destination import ObjectName
from image_composer.spec.files import KeyRef
from image_composer.spec.scripts import VariableName
from image_composer.spec.text import Line

RemovedPath = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]{1,64}(\[[^\]\x00-\x1f\x7f]{1,255}\])?"
        r"([.][A-Za-z0-9]{1,64}(\[[^\]\x00-\x1f\x7f]{1,255}\])?)*$",
        max_length=512,
    ),
]
"""Where an inherited value stands, for example `disk.size`, `packages[curl]` or `users[admin].groups[wheel]`."""

VariableText = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4096)]
"""A variable's value as text; its type says how it is read."""


class ObjectRef(SpecModel):
    """Another object in the namespace of the ImageBuild."""

    name: ObjectName
    """Its name."""


class Extends(SpecModel):
    """A document that this one builds on: exactly one of a file, a ConfigMap's key and an ImageBuild."""

    file: RelativePath | None = None
    """File beside this document, or in a folder below; on a laptop only."""

    config_map_ref: KeyRef | None = None
    """Key of a ConfigMap that holds a document. On a laptop: a file in the inputs folder."""

    image_build_ref: ObjectRef | None = None
    """ImageBuild whose image this one builds on; in a cluster only."""


class VariableType(StrEnum):
    """What a variable holds."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    """`true` or `false`."""


class Variable(SpecModel):
    """A variable that fields of the document may name as `${NAME}`."""

    name: VariableName
    """Its name."""

    type: VariableType = VariableType.STRING
    """What it holds. A field that is nothing but `${NAME}` gets a value of this type."""

    default: VariableText | None = None
    """Its value when none is given, as text; it must be given when there is no default."""

    choices: list[VariableText] = Field(default_factory=list, max_length=64)
    """Only these are allowed; everything that the type allows when empty."""

    description: Line | None = None
    """What it is for, for people to read."""
