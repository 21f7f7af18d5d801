"""What the running system can install, and what of its packages is left out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import AbsolutePath, Digest, Flag, Number, PackageName, SpecModel, UserName
from image_composer.spec.source import SourceUrl
from image_composer.spec.text import FileMode, Text

LocaleName = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?(@[a-z]{1,16})?$", max_length=24)]
"""A language that programs speak, for example `de` or `pt_BR`."""


class Sources(StrEnum):
    """Which repositories the running system knows."""

    DISTRIBUTION = "distribution"
    """The distribution's own, at their public addresses."""

    DOCUMENT = "document"
    """Those that the document names in `repositories`, and no others."""

    BOTH = "both"
    NONE = "none"


class PackageManager(SpecModel):
    """The package manager of the running system."""

    sources: Sources = Sources.DISTRIBUTION
    """Which repositories it knows."""

    holds: list[PackageName] = Field(default_factory=list, max_length=256)
    """Packages that it never updates by itself. deb only."""

    remove: Flag = False
    """Whether its programs are taken away; what it knows of the packages stays, for scanners to read."""


class Minimize(SpecModel):
    """What of the packages is left out, in the image and by later updates."""

    documentation: Flag = False
    """Whether manual pages and documentation are left out; licences stay."""

    keep_locales: Annotated[list[LocaleName], Field(max_length=64)] | None = None
    """Languages whose translations stay, and no others; all when absent."""


class CloudInit(SpecModel):
    """Data for cloud-init's NoCloud source, in the image itself: it configures the machine at its first start."""

    user_data: Text | None = None
    """As cloud-init reads it: it begins with `#cloud-config` or `#!`. Whoever has the image can read it."""

    meta_data: Text | None = None
    """Instance data; an instance id of the image's name and version when absent."""

    network_config: Text | None = None
    """Network of the first start."""

    vendor_data: Text | None = None
    """What user data overrides."""


class Artifact(SpecModel):
    """A file of any size that is downloaded into the image, for example an archive of a container image."""

    path: AbsolutePath
    """Where it lies in the image."""

    url: SourceUrl
    """Where it is downloaded from: `https://`, `http://` or `s3://BUCKET/KEY`."""

    sha256: Digest
    """Digest that it must have."""

    size: Annotated[Number, Field(ge=1, le=1 << 40)]
    """Bytes that it has."""

    mode: FileMode = "0644"
    """Permissions in octal."""

    owner: UserName = "root"
    """User that it belongs to, by name."""

    group: UserName = "root"
    """Group that it belongs to, by name."""
