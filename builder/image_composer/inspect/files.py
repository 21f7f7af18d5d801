"""Files of a file system inside an image, read without mounting it: what all kinds of file systems have in common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import ClassVar

from image_composer.inspect.raw import RawImage, corrupted
from image_composer.inspect.tree import Node

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes; the largest file read, dpkg's status, has about 6 MiB with 5000 packages."""

_LARGEST_CHAIN = 8
"""Symbolic links followed from one to the next; os-release needs one."""

_SAFE = re.compile(r"[A-Za-z0-9/._+@:-]+", re.ASCII)
"""Names that mean nothing else to debugfs, whose requests have quotes, blanks and `<inode>`, nor to unsquashfs."""


class Kind(StrEnum):
    """What a path leads to."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file system says about a path."""

    kind: Kind
    size: int
    """Bytes of a file."""

    target: str = ""
    """Where a link leads."""


@dataclass(frozen=True, slots=True)
class Files(ABC):
    """A file system at an offset of an image."""

    image: RawImage
    offset: int

    cheap: ClassVar[int] = LARGEST_FILE
    """Bytes of the largest file that is read when very many are."""

    def tree(self) -> dict[str, Node]:
        """Give everything that lies in it by path, but for the top folder.

        Raises:
            InspectError: INSPECT_CORRUPTED or INSPECT_UNSUPPORTED.
        """
        return self._tree()

    def contents(self, files: Mapping[str, Node]) -> dict[str, bytes]:
        """Give the contents of regular files by path.

        Args:
            files: as `tree` found them.

        Raises:
            InspectError: INSPECT_CORRUPTED or INSPECT_UNSUPPORTED.
        """
        return self._contents(files)

    def read(self, path: str) -> bytes | None:
        """Give a regular file's content, following links; None when there is no such file.

        Raises:
            InspectError: INSPECT_CORRUPTED or INSPECT_UNSUPPORTED.
        """
        found = self._follow(path)
        if found is None or found[1].kind is not Kind.FILE:
            return None
        at, entry = found
        if entry.size > LARGEST_FILE:
            raise corrupted(self.image.path, f"{at} in it is impossibly large")
        content = self._content(at)
        if len(content) != entry.size:
            raise corrupted(self.image.path, f"{at} in it is cut off")
        return content

    def names(self, path: str) -> list[str]:
        """Give the names in a folder, sorted; none when there is no such folder.

        Raises:
            InspectError: INSPECT_CORRUPTED or INSPECT_UNSUPPORTED.
        """
        found = self._follow(path)
        return sorted(self._names(found[0])) if found and found[1].kind is Kind.FOLDER else []

    @abstractmethod
    def _tree(self) -> dict[str, Node]:
        """Give everything by path."""

    @abstractmethod
    def _contents(self, files: Mapping[str, Node]) -> dict[str, bytes]:
        """Give the contents of files."""

    @abstractmethod
    def _entry(self, path: PurePosixPath) -> Entry | None:
        """Give what a path is, without following it if it is a link."""

    @abstractmethod
    def _content(self, path: PurePosixPath) -> bytes:
        """Give the content of a regular file."""

    @abstractmethod
    def _names(self, path: PurePosixPath) -> list[str]:
        """Give the names in a folder."""

    def _follow(self, path: str) -> tuple[PurePosixPath, Entry] | None:
        """Give what a path leads to and that one's own path."""
        at = PurePosixPath(path)
        for _ in range(_LARGEST_CHAIN):
            if not _SAFE.fullmatch(str(at)):
                return None
            found = self._entry(at)
            if found is not None and found.kind is not Kind.LINK:
                return at, found
            link = (at, found) if found is not None else self._link_on_the_way(at)
            if link is None:
                return None
            place, entry = link
            at = _normalised(place.parent / entry.target / at.relative_to(place))
        return None

    def _link_on_the_way(self, path: PurePosixPath) -> tuple[PurePosixPath, Entry] | None:
        for folder in list(reversed(path.parents))[1:]:
            entry = self._entry(folder)
            if entry is None or entry.kind is Kind.LINK:
                return None if entry is None else (folder, entry)
        return None


def _normalised(path: PurePosixPath) -> PurePosixPath:
    """Take `..` out of a path by name; it ends at the root, as in the file system."""
    parts: list[str] = []
    for part in path.parts[1:]:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
    return PurePosixPath("/", *parts)
