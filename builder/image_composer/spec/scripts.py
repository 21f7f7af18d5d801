"""Scripts that are run while an image is composed, where the rest of the document does not reach."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import AbsolutePath, Digest, Flag, Number, SpecModel
from image_composer.spec.files import KeyRef
from image_composer.spec.source import SourceUrl
from image_composer.spec.text import FileStem, Line, Text

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", max_length=64)]
"""A variable's name."""


class Hook(StrEnum):
    """When a script is run."""

    AFTER_PACKAGES = "after-packages"
    """Packages are installed and configured; nothing of the document is there yet."""

    AFTER_CONFIGURATION = "after-configuration"
    """All that the document says is there; the initramfs is made next, and holds what the script changed."""

    FINAL = "final"
    """Everything is there; logs and caches are cleared next."""


class Script(SpecModel):
    """A script. It runs as root of the image in the same sandbox as the packages' own, and sees nothing else."""

    name: FileStem
    """Name of it, for messages; unique."""

    when: Hook = Hook.AFTER_CONFIGURATION
    """When it is run; those of one hook in the order of the document."""

    content: Text | None = None
    """The script, as it stands."""

    url: SourceUrl | None = None
    """Where it is downloaded from, as a file is, with `sha256`."""

    sha256: Digest | None = None
    """Digest that the downloaded script must have."""

    config_map_ref: KeyRef | None = None
    """Key of a ConfigMap that holds it. On a laptop: a file in the inputs folder."""

    interpreter: AbsolutePath = "/bin/sh"
    """Program of the image that reads it; a first line with `#!` is not looked at."""

    environment: Annotated[dict[VariableName, Line], Field(max_length=64)] = Field(default_factory=dict)
    """Variables beside PATH, HOME, LC_ALL, TZ, TERM, SOURCE_DATE_EPOCH, IMAGE_NAME and IMAGE_VERSION."""

    timeout: Annotated[Number, Field(ge=1, le=86400)] = 600
    """Seconds that it may take."""

    network: Flag = False
    """Whether it reaches the network. What it fetches is in no lock and no SBOM, and two builds may differ."""
