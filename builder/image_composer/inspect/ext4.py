"""Reads files of an ext4 file system inside an image, with debugfs.

debugfs ends with status 0 whatever happens; what it writes to standard error after its banner tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from image_composer.inspect.raw import RawImage, corrupted

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes; the largest file read, dpkg's status, has about 6 MiB with 5000 packages."""

_LARGEST_CHAIN = 8
"""Symbolic links followed from one to the next; os-release needs one."""

_SAFE = re.compile(r"[A-Za-z0-9/._+@:-]+", re.ASCII)
"""Names that mean nothing else to debugfs, whose requests have quotes, blanks and `<inode>`."""

_TYPE = re.compile(r"Type: (\S+)")
_SIZE = re.compile(r"Size: ([0-9]+)")
_TARGET = re.compile(r'Fast link dest: "(.*)"')


@dataclass(frozen=True, slots=True)
class Ext4:
    """A file system at an offset of an image."""

    image: RawImage
    offset: int

    def read(self, path: str) -> bytes | None:
        """Give a regular file's content, following links; None when there is no such file.

        Raises:
            InspectError: INSPECT_CORRUPTED.
        """
        at = PurePosixPath(path)
        for _ in range(_LARGEST_CHAIN):
            if not _SAFE.fullmatch(str(at)):
                return None
            about = self._ask(f"stat {at}")
            kind = _TYPE.search(about or "")
            if about is None or kind is None:
                return None
            if kind[1] == "regular":
                return self._content(at, about)
            target = _TARGET.search(about)
            if kind[1] != "symlink" or target is None:
                return None
            at = _normalised(at.parent / target[1])
        return None

    def names(self, path: str) -> list[str]:
        """Give the names in a folder, sorted; none when there is no such folder.

        Raises:
            InspectError: INSPECT_CORRUPTED.
        """
        listed = self._ask(f"ls -p {path}") or ""
        fields = [line.split("/") for line in listed.splitlines()]
        return sorted(field[5] for field in fields if len(field) > 5 and field[5] not in (".", ".."))

    def _content(self, path: PurePosixPath, about: str) -> bytes:
        size = _SIZE.search(about)
        if size is None or int(size[1]) > LARGEST_FILE:
            raise corrupted(self.image.path, f"{path} in it is impossibly large")
        return self._request(f"cat {path}") or b""

    def _ask(self, request: str) -> str | None:
        answer = self._request(request)
        return None if answer is None else answer.decode("utf-8", "replace")

    def _request(self, request: str) -> bytes | None:
        done = self.image.run(["debugfs", "-R", request, f"{self.image.name}?offset={self.offset}"])
        _, _, said = done.stderr.decode("utf-8", "replace").partition("\n")
        if "File not found" in said:
            return None
        if said.strip() or done.returncode != 0:
            first = (said.strip() or "debugfs failed").splitlines()[0].replace(self.image.name, str(self.image.path))
            raise corrupted(self.image.path, f"the file system at byte {self.offset} can't be read: {first}")
        return done.stdout


def _normalised(path: PurePosixPath) -> PurePosixPath:
    """Take `..` out of a path by name; it ends at the root, as in the file system."""
    parts: list[str] = []
    for part in path.parts[1:]:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
    return PurePosixPath("/", *parts)
