"""Reads files of an ext4 file system inside an image, with debugfs.

debugfs ends with status 0 whatever happens; what it writes to standard error after its banner tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from image_composer.inspect.files import Entry, Files, Kind
from image_composer.inspect.raw import corrupted
from image_composer.inspect.tree import Node

ROOT_INODE = 2
"""Of the top folder."""

_DEEPEST = 128
"""Folders in folders; a loop of folders, which only a broken file system has, ends there."""

_LISTED_FIELDS = 8
"""Parts of a line of `ls -p` between slashes, with the empty ones at both ends."""

_TYPE = re.compile(r"Type: (\S+)")
_SIZE = re.compile(r"Size: ([0-9]+)")
_TARGET = re.compile(r'Fast link dest: "(.*)"')

_KINDS = {"regular": Kind.FILE, "directory": Kind.FOLDER, "symlink": Kind.LINK}


@dataclass(frozen=True, slots=True)
class Ext4(Files):
    """See `Files`."""

    def _tree(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        folders = [("", ROOT_INODE)]
        for _ in range(_DEEPEST):
            if not folders:
                return found
            answers = self._batch([f"ls -p <{inode}>" for _, inode in folders])
            level = {
                f"{folder}/{name}": node
                for (folder, _), answer in zip(folders, answers, strict=True)
                for name, node in _listed(answer)
            }
            found |= level
            folders = [(path, node.inode) for path, node in level.items() if node.is_folder]
        raise corrupted(self.image.path, f"the file system at byte {self.offset} has folders without end")

    def _contents(self, files: Mapping[str, Node]) -> dict[str, bytes]:
        requests = [f"cat <{node.inode}>" for node in files.values()]
        answers = self._batch(requests, [node.size for node in files.values()])
        return dict(zip(files, answers, strict=True))

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

    def _batch(self, requests: Sequence[str], sizes: Sequence[int] | None = None) -> list[bytes]:
        """Give the answers to several requests of one debugfs, which says each before it answers.

        Args:
            requests: one each.
            sizes: bytes of the answers, when they may hold anything.
        """
        name = f"{self.image.name}?offset={self.offset}"
        done = self.image.run(["debugfs", "-f", "-", name], stdin="".join(f"{line}\n" for line in requests).encode())
        answers, position = [], 0
        for number, request in enumerate(requests):
            start = done.stdout.find(f"debugfs: {request}\n".encode(), position)
            if start < 0 or (sizes is not None and start != position):
                raise corrupted(self.image.path, f"the file system at byte {self.offset} can't be read: {request}")
            start += len(f"debugfs: {request}\n")
            if sizes is not None:
                position = start + sizes[number]
            elif number + 1 < len(requests):
                position = done.stdout.find(f"debugfs: {requests[number + 1]}\n".encode(), start)
            else:
                position = len(done.stdout)
            answers.append(done.stdout[start:position])
        return answers

    def _request(self, request: str) -> bytes | None:
        done = self.image.run(["debugfs", "-R", request, f"{self.image.name}?offset={self.offset}"])
        _, _, said = done.stderr.decode("utf-8", "replace").partition("\n")
        if "File not found" in said or "not a directory" in said:
            return None
        if said.strip() or done.returncode != 0:
            first = (said.strip() or "debugfs failed").splitlines()[0].replace(self.image.name, str(self.image.path))
            raise corrupted(self.image.path, f"the file system at byte {self.offset} can't be read: {first}")
        return done.stdout


def _listed(answer: bytes) -> Iterator[tuple[str, Node]]:
    """Read what `ls -p` says: `/inode/mode/uid/gid/name/size/`; the names `.` and `..` are left out."""
    for line in answer.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split("/")
        if len(fields) == _LISTED_FIELDS and fields[5] not in ("", ".", "..") and fields[1] != "0":
            yield (
                fields[5],
                Node(int(fields[1]), int(fields[2], 8), int(fields[3]), int(fields[4]), int(fields[6] or 0)),
            )
