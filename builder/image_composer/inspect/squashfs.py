"""Reads files of a squashfs inside an image, with unsquashfs, which extracts nothing here.

Links are followed by us: unsquashfs 4.5 takes a link that leads upwards for a loop.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from image_composer.inspect.files import Entry, Files, Kind
from image_composer.inspect.raw import corrupted
from image_composer.inspect.tree import Node

_TOP = "squashfs-root"
"""What unsquashfs puts before every path that it lists."""

_LISTED = re.compile(rf"([-a-z])\S{{9}} \S+ +([0-9]+)(?:, *[0-9]+)? \S+ \S+ {_TOP}(/\S+)?(?: -> (.*))?")
"""Kind, size (a device's number in its place), path and a link's target."""

_WHOLE = re.compile(rf"([-a-z])(\S{{9}}) ([0-9]+)/([0-9]+) +([0-9]+)(?:, *[0-9]+)? \S+ \S+ {_TOP}(/.+)")
"""The same with rights and owners, when everything is listed: a path may hold blanks then."""

_BATCH = 512
"""Paths in one command line."""

_TYPES = {"-": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK, "c": stat.S_IFCHR, "b": stat.S_IFBLK,
          "p": stat.S_IFIFO, "s": stat.S_IFSOCK}  # fmt: skip

_KINDS = {"-": Kind.FILE, "d": Kind.FOLDER, "l": Kind.LINK}


@dataclass(frozen=True, slots=True)
class Squashfs(Files):
    """See `Files`."""

    def _tree(self) -> dict[str, Node]:
        found = {}
        listed = self._run("-lln", ()).decode("utf-8", "surrogateescape")
        for line in listed.splitlines():
            read = _WHOLE.fullmatch(line)
            if read is not None:
                path = read[6].partition(" -> ")[0] if read[1] == "l" else read[6]
                mode = _TYPES.get(read[1], 0) | _rights(read[2])
                found[path] = Node(0, mode, int(read[3]), int(read[4]), int(read[5]))
        return found

    def _contents(self, files: Mapping[str, Node]) -> dict[str, bytes]:
        read, paths = {}, list(files)
        for start in range(0, len(paths), _BATCH):
            batch, position = paths[start : start + _BATCH], 0
            content = self._run("-cat", tuple(batch))
            for path in batch:
                read[path] = content[position : position + files[path].size]
                position += files[path].size
            if position != len(content):
                raise corrupted(
                    self.image.path, f"the file system at byte {self.offset} can't be read: files are cut off"
                )
        return read

    def _entry(self, path: PurePosixPath) -> Entry | None:
        # The first line that fits is the path's own: what follows it may be made up by a link's target.
        for line in self._list("-lln", path, len(path.parts) - 1):
            found = _LISTED.fullmatch(line)
            if found and (found[3] or "/") == str(path):
                return Entry(_KINDS.get(found[1], Kind.OTHER), int(found[2]), found[4] or "")
        return None

    def _content(self, path: PurePosixPath) -> bytes:
        return self._run("-cat", (str(path),))

    def _names(self, path: PurePosixPath) -> list[str]:
        before = f"{_TOP}{path}".rstrip("/") + "/"
        listed = self._list("-ls", path, len(path.parts))
        return [line.removeprefix(before) for line in listed if line.startswith(before)]

    def _list(self, how: str, path: PurePosixPath, depth: int) -> list[str]:
        """List a path and the folders that lead to it, and what is in it as far as the depth goes."""
        below = () if path == PurePosixPath("/") else (str(path),)
        return self._run(how, below, "-max-depth", str(depth)).decode("utf-8", "replace").splitlines()

    def _run(self, how: str, paths: tuple[str, ...], *options: str) -> bytes:
        fixed = ("-processors", "1", "-no-wildcards", "-offset", str(self.offset))
        done = self.image.run(["unsquashfs", how, *fixed, *options, self.image.name, *paths])
        said = done.stderr.decode("utf-8", "replace").replace(self.image.name, str(self.image.path)).strip()
        if done.returncode != 0 or said:
            first = (said or "unsquashfs failed").splitlines()[0]
            raise corrupted(self.image.path, f"the file system at byte {self.offset} can't be read: {first}")
        return done.stdout


def _rights(letters: str) -> int:
    """Read rights as `ls -l` writes them: `rwsr-xr-t`."""
    mode = sum(1 << (8 - place) for place, letter in enumerate(letters) if letter not in "-ST")
    for place, bit in ((2, stat.S_ISUID), (5, stat.S_ISGID), (8, stat.S_ISVTX)):
        mode |= bit if letters[place] in "sStT" else 0
    return mode
