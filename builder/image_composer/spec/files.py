"""Files that a document brings into the image."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import AbsolutePath, Digest, Flag, SpecModel, UserName
from image_composer.spec.destination import DataKey, ObjectName
from image_composer.spec.text import Base64, FileMode, FolderMode, Text

WebUrl = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=2008)]
"""Address of a file; what comes from it counts only with the digest given beside."""


class KeyRef(SpecModel):
    """A key of a ConfigMap or Secret in the namespace of the ImageBuild."""

    name: ObjectName
    """Name of the object."""

    key: DataKey
    """Key in it."""


class File(SpecModel):
    """A file of the image. Its content comes from exactly one place, or it is a link."""

    path: AbsolutePath
    """Where it lies in the image. Missing folders are made; what packages brought there is replaced."""

    content: Text | None = None
    """Its content, as it stands."""

    template: Flag = Field(default=False, exclude=True)
    """Whether variables are filled in in `content`; everything is taken as it stands otherwise."""

    content_base64: Base64 | None = None
    """Its content as base64, for what is not text."""

    url: WebUrl | None = None
    """Where its content is downloaded from, with `sha256`."""

    sha256: Digest | None = None
    """Digest that downloaded content must have."""

    config_map_ref: KeyRef | None = None
    """Key of a ConfigMap that holds its content. On a laptop: a file in the inputs folder."""

    secret_ref: KeyRef | None = None
    """Key of a Secret that holds its content, which reaches the assembly only. It is in the image then."""

    link: AbsolutePath | None = None
    """Path in the image that it is a symbolic link to."""

    mode: FileMode | None = None
    """Permissions in octal; `0644` when absent, `0600` for the content of a Secret."""

    owner: UserName = "root"
    """User that it belongs to, by name: of the image, or of this document."""

    group: UserName = "root"
    """Group that it belongs to, by name."""


class Folder(SpecModel):
    """A folder of the image."""

    path: AbsolutePath
    """Where it lies; missing parents are made and belong to root."""

    mode: FolderMode = "0755"
    """Permissions in octal."""

    owner: UserName = "root"
    """User that it belongs to, by name."""

    group: UserName = "root"
    """Group that it belongs to, by name."""
