"""Files that a document brings into the image."""

from __future__ import annotations

from pydantic import Field

from image_composer.spec.base import AbsolutePath, Digest, Flag, RelativePath, SpecModel, UserName
from image_composer.spec.destination import DataKey, ObjectName
from image_composer.spec.source import SourceUrl
from image_composer.spec.text import Base64, FileMode, FileStem, FolderMode, Text


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

    url: SourceUrl | None = None
    """Where its content is downloaded from, with `sha256`; `https://`, `http://` or `s3://BUCKET/KEY`."""

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


class ConfigMapRef(SpecModel):
    """All keys of a ConfigMap in the namespace of the ImageBuild."""

    name: ObjectName
    """Name of the object."""


class Tree(SpecModel):
    """Files, folders and links from exactly one place, below a folder of the image."""

    name: FileStem
    """Name of it, for messages; unique."""

    path: AbsolutePath
    """Folder of the image that they come to; `/` is allowed. Folders that are there keep their owner and mode."""

    url: SourceUrl | None = None
    """Where a tar archive is downloaded from, as a file is, with `sha256`: plain, gzip, bzip2 or xz."""

    sha256: Digest | None = None
    """Digest that the archive must have."""

    config_map_ref: ConfigMapRef | None = None
    """ConfigMap of which each key becomes a file. On a laptop: a folder in the inputs folder."""

    folder: RelativePath | None = None
    """Folder beside this document, or below; on a laptop only."""

    mode: FileMode | None = None
    """Permissions of all files in octal. When absent, those of the archive without setuid, setgid and what lets others
    write; of a folder's files, `0755` for programs and `0644` for others."""

    owner: UserName = "root"
    """User that all of it belongs to, by name."""

    group: UserName = "root"
    """Group that all of it belongs to, by name."""
