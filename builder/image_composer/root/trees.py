"""Trees of files that a document brings: archives and folders read, and refused where they would do harm.

Nothing is unpacked here. What an archive holds becomes entries, whose names and links stay within the tree; they are
written by the same operations as single files, inside the root.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from image_composer.settings import MIB
from image_composer.spec.parse import shown

LARGEST_TREE = 64 * MIB
"""Bytes of all files of a tree, which is held in memory; what is larger belongs into a package, or artifacts."""

MOST_ENTRIES = 20_000

OVERHEAD = 16 * MIB
"""Bytes of an archive beside its files' content: headers of that many entries, and padding."""

LONGEST_PATH = 1024
LONGEST_NAME = 255
"""Bytes; what Linux' file systems take."""

SAFE_MODE = 0o755
"""What is kept of an entry's permissions: no setuid, setgid and sticky, and nobody but the owner writes."""

NOT_AN_ARCHIVE = "is not a tar archive that can be read: plain, or compressed with gzip, bzip2 or xz"


class TreeError(Exception):
    """What a tree holds is refused; the message is the sentence for the user, after the name of its field."""


class EntryKind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a tree."""

    path: str
    """Below the tree's folder."""

    kind: EntryKind
    mode: int = 0o755
    content: bytes = b""
    """Of a file."""

    target: str = ""
    """Of a link."""


def read_archive(content: bytes) -> list[Entry]:
    """Give what an archive holds, in the archive's order.

    Raises:
        TreeError: it can't be read, or holds what no tree may; with the sentence for the user.
    """
    try:
        with tarfile.open(fileobj=_Bounded(_unpacked(content)), mode="r|", encoding="utf-8") as archive:
            return checked(_members(archive))
    except TreeError:
        raise
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError) as error:
        raise TreeError(NOT_AN_ARCHIVE) from error


def read_folder(folder: Path) -> list[Entry]:
    """Give what a folder of this machine holds, in the order of its names; links are not followed.

    Raises:
        TreeError: it holds what no tree may.
    """
    return checked(_below(folder, ""))


def read_keys(files: Sequence[Path]) -> list[Entry]:
    """Give files as a tree without folders.

    Raises:
        TreeError: one is no file, or they are too much.
    """
    for file in files:
        if not file.is_file():
            raise TreeError(f"holds {shown(file.name)}, which is no file")
        _small_enough(file.name, file.stat().st_size)
    return checked(Entry(_inside(one.name) or "", EntryKind.FILE, 0o644, one.read_bytes()) for one in files)


def pack(entries: Sequence[Entry]) -> bytes:
    """Give an archive of entries: the same entries give the same bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.mode, member.size, member.linkname = entry.mode, len(entry.content), entry.target
            kinds = {EntryKind.FOLDER: tarfile.DIRTYPE, EntryKind.LINK: tarfile.SYMTYPE}
            member.type = kinds.get(entry.kind, tarfile.REGTYPE)
            archive.addfile(member, io.BytesIO(entry.content))
    return stream.getvalue()


def checked(entries: Iterator[Entry]) -> list[Entry]:
    """Give entries back of which none leads out of the tree, stands in another's way or is too much.

    Raises:
        TreeError: the first that does, by its name.
    """
    found: dict[str, Entry] = {}
    size = 0
    for entry in entries:
        size += len(entry.content)
        if size > LARGEST_TREE:
            raise TreeError(f"has more than {LARGEST_TREE // MIB} MiB with {shown(entry.path)}; {ELSEWHERE}")
        if len(found) >= MOST_ENTRIES:
            raise TreeError(f"has more than {MOST_ENTRIES} entries")
        former = found.get(entry.path)
        if former is not None and EntryKind.FOLDER not in (former.kind, entry.kind):
            raise TreeError(f"holds {shown(entry.path)} twice")
        if former is not None and former.kind is not entry.kind:
            raise TreeError(f"holds {shown(entry.path)} as a folder and as something else")
        found[entry.path] = entry
    for path in found:
        above = [path[:place] for place, letter in enumerate(path) if letter == "/"]
        wrong = next((one for one in above if one in found and found[one].kind is not EntryKind.FOLDER), None)
        if wrong is not None:
            raise TreeError(f"holds {shown(path)} below {shown(wrong)}, which is no folder")
    return list(found.values())


ELSEWHERE = "what is larger belongs into a package, or artifacts"


def _members(archive: tarfile.TarFile) -> Iterator[Entry]:
    files: dict[str, Entry] = {}
    for member in archive:
        path = _inside(member.name)
        if path is None:
            continue
        if member.issym():
            yield Entry(path, EntryKind.LINK, target=_target(path, member.linkname))
        elif member.isdir():
            yield Entry(path, EntryKind.FOLDER, member.mode & SAFE_MODE | 0o700)
        elif member.islnk():
            first = files.get(_inside(member.linkname) or "")
            if first is None:
                raise TreeError(f"holds {shown(path)}, a hard link to what is no file before it in the archive")
            files[path] = Entry(path, EntryKind.FILE, first.mode, first.content)
            yield files[path]
        elif member.isreg() and not member.issparse():
            _small_enough(path, member.size)
            stream = archive.extractfile(member)
            content = stream.read() if stream is not None else b""
            files[path] = Entry(path, EntryKind.FILE, member.mode & SAFE_MODE | 0o600, content)
            yield files[path]
        else:
            raise TreeError(f"holds {shown(path)}, which is no file, folder or link")


def _below(folder: Path, prefix: str) -> Iterator[Entry]:
    for found in sorted(os.scandir(folder), key=lambda one: one.name):
        path = _inside(f"{prefix}{found.name}") or ""
        if found.is_symlink():
            yield Entry(path, EntryKind.LINK, target=_target(path, str(Path(found.path).readlink())))
        elif found.is_dir(follow_symlinks=False):
            yield Entry(path, EntryKind.FOLDER)
            yield from _below(Path(found.path), f"{path}/")
        elif found.is_file(follow_symlinks=False):
            status = found.stat(follow_symlinks=False)
            _small_enough(path, status.st_size)
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            yield Entry(path, EntryKind.FILE, mode, Path(found.path).read_bytes())
        else:
            raise TreeError(f"holds {shown(path)}, which is no file, folder or link")


def _inside(name: str) -> str | None:
    """Give a name as a path below the tree's folder; nothing for that folder itself.

    Raises:
        TreeError: it leads elsewhere, or no file can be called so.
    """
    if name.startswith("/"):
        raise TreeError(f"holds {shown(name)}, whose path is absolute")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise TreeError(f"holds {shown(name)}, whose path leads out")
    _printable(name, name)
    if any(len(part.encode()) > LONGEST_NAME for part in parts) or len(name.encode()) > LONGEST_PATH:
        raise TreeError(f"holds {shown(name)}, whose name is too long")
    return "/".join(parts) or None


def _target(path: str, target: str) -> str:
    """Give where a link leads to, within the tree.

    Raises:
        TreeError: it leads elsewhere.
    """
    _printable(path, target)
    if not target or target.startswith("/"):
        raise TreeError(f"holds {shown(path)}, a link to {shown(target)}, which is not relative")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = parts.count("..")
    if ups > path.count("/"):
        raise TreeError(f"holds {shown(path)}, a link to {shown(target)}, which leads out")
    if ".." in parts[ups:]:  # that name may be a link itself, and `..` lead from where it leads
        raise TreeError(f"holds {shown(path)}, a link to {shown(target)}, which has '..' after a name")
    if len(target.encode()) > LONGEST_PATH or not parts:
        raise TreeError(f"holds {shown(path)}, a link to {shown(target)}, where nothing can be")
    return target


def _printable(path: str, text: str) -> None:
    if not text.isprintable():  # also what is not UTF-8
        raise TreeError(f"holds {shown(path)}, in whose name or target is what can't be printed")


def _small_enough(path: str, size: int) -> None:
    if size > LARGEST_TREE:
        raise TreeError(f"holds {shown(path)}, which has more than {LARGEST_TREE // MIB} MiB; {ELSEWHERE}")


def _unpacked(content: bytes) -> io.BufferedIOBase:
    stream = io.BytesIO(content)
    if content.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if content.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if content.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream)
    return stream


class _Bounded(io.RawIOBase):
    """A stream that ends in an error where a tree would be too large: a small archive may unpack to terabytes."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._left = LARGEST_TREE + OVERHEAD

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise TreeError(f"has more than {LARGEST_TREE // MIB} MiB; {ELSEWHERE}")
        return content
