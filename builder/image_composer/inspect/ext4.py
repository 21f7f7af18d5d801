"""Reads files of an ext4 file system inside an image, with debugfs.

debugfs ends with status 0 whatever happens; what it writes to standard error after its banner tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from image_composer.inspect.files import Entry, Files, Kind
from image_composer.inspect.raw import corrupted

_TYPE = re.compile(r"Type: (\S+)")
_SIZE = re.compile(r"Size: ([0-9]+)")
_TARGET = re.compile(r'Fast link dest: "(.*)"')

_KINDS = {"regular": Kind.FILE, "directory": Kind.FOLDER, "symlink": Kind.LINK}


@dataclass(frozen=True, slots=True)
class Ext4(Files):
    """See `Files`."""

    def _entry(self, path: PurePosixPath) -> Entry | None:
        about = (self._request(f"stat {path}") or b"").decode("utf-8", "replace")
        kind, size, target = _TYPE.search(about), _SIZE.search(about), _TARGET.search(about)
        if kind is None:
            return None
        found = _KINDS.get(kind[1], Kind.OTHER)
        if found is Kind.LINK and target is None:  # one of more than 59 bytes, which images of ours don't need
            found = Kind.OTHER
        return Entry(found, int(size[1]) if size else 0, target[1] if target else "")

    def _content(self, path: PurePosixPath) -> bytes:
        return self._request(f"cat {path}") or b""

    def _names(self, path: PurePosixPath) -> list[str]:
        listed = (self._request(f"ls -p {path}") or b"").decode("utf-8", "replace")
        fields = [line.split("/") for line in listed.splitlines()]
        return [field[5] for field in fields if len(field) > 5 and field[5] not in (".", "..")]

    def _request(self, request: str) -> bytes | None:
        done = self.image.run(["debugfs", "-R", request, f"{self.image.name}?offset={self.offset}"])
        _, _, said = done.stderr.decode("utf-8", "replace").partition("\n")
        if "File not found" in said or "not a directory" in said:
            return None
        if said.strip() or done.returncode != 0:
            first = (said.strip() or "debugfs failed").splitlines()[0].replace(self.image.name, str(self.image.path))
            raise corrupted(self.image.path, f"the file system at byte {self.offset} can't be read: {first}")
        return done.stdout
