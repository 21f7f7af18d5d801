"""repomd.xml of an rpm repository: which files belong to its metadata.

Format: https://github.com/rpm-software-management/createrepo_c (doc/README.rpm-md). Everything here is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from image_composer.errors import RepositoryError

NAME = "repodata/repomd.xml"

NAMESPACE = "http://linux.duke.edu/metadata/repo"

USED = ("primary", "filelists")
"""Types of files that are read. Others, such as groups, updates and databases of SQLite, say nothing that we need."""

SUFFIXES = (".zst", ".xz", ".bz2", ".gz", ".xml")
"""Compressions that we can read, by the end of a file's name."""

PATH = re.compile(r"(?!/)(?!(?:[^/]*/)*\.\.(?:/|$))(?!.*://)[!-\"$->@-~]+")
"""Printable, relative, without `..` as a part, and nothing that a URL reads otherwise: `?` and `#`."""

SHA256 = re.compile(r"[0-9a-f]{64}")
SIZE = re.compile(r"[0-9]{1,15}")
TIME = re.compile(r"([0-9]{9,10})(?:\.[0-9]{1,9})?")
"""Seconds since 1970; nine digits end in 2001, before there were such repositories."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What a file must be once unpacked."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that repomd.xml vouches for."""

    path: str
    """Relative to the repository's base URL."""

    suffix: str
    """Its compression, one of `SUFFIXES`."""

    sha256: str
    size: int
    plain: Plain | None
    """What it must be once unpacked, as far as repomd.xml says."""


@dataclass(frozen=True, slots=True)
class Repomd:
    """What repomd.xml says."""

    primary: ListedFile
    filelists: ListedFile | None
    modular: bool
    """Whether some of its packages belong to modules, which not everybody may install."""

    published: int
    """When it was published, in seconds since 1970; 0 when it doesn't say."""


@dataclass(slots=True)
class _Data:
    """An element `data` as it is written."""

    kind: str
    texts: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    """Kind of digest by element."""

    href: str = ""
    base: str = ""


def parse_repomd(content: bytes, repository: str) -> Repomd:
    """Read repomd.xml.

    Raises:
        RepositoryError: REPO_MALFORMED, REPO_NO_SHA256, REPO_INDEX_UNREADABLE.
    """
    what = f"repository {repository}: {NAME}"
    revision, entries = _Reader(what).read(content)
    used: dict[str, _Data] = {}
    for entry in entries:
        if entry.kind in used:
            raise malformed(f"{what} lists {entry.kind} twice")
        if entry.kind in USED:
            used[entry.kind] = entry
    if "primary" not in used:
        listed = ", ".join(sorted({entry.kind for entry in entries})) or "nothing"
        raise RepositoryError(
            "REPO_INDEX_UNREADABLE",
            f"{what} lists no packages in XML (type primary); listed: {listed}",
            hint="have the repository's metadata generated anew, by createrepo_c",
        )
    files = {kind: _listed(entry, f"{what}: {kind}") for kind, entry in used.items()}
    times = [_time(entry.texts.get("timestamp", "")) for entry in entries]
    return Repomd(
        primary=files["primary"],
        filelists=files.get("filelists"),
        modular=any(entry.kind == "modules" for entry in entries),
        published=_time(revision) or max(times, default=0),
    )


def malformed(message: str) -> RepositoryError:
    """Give the error for metadata that is not what it should be."""
    return RepositoryError(
        "REPO_MALFORMED",
        message,
        hint="the repository's metadata is broken: tell its owner, or leave the repository out",
    )


def no_sha256(message: str) -> RepositoryError:
    """Give the error for metadata that vouches for something by another digest."""
    return RepositoryError(
        "REPO_NO_SHA256",
        message,
        hint="other digests than SHA-256 are not accepted: have the repository's metadata generated anew",
    )


def _listed(entry: _Data, what: str) -> ListedFile:
    if entry.base or not PATH.fullmatch(entry.href):
        raise malformed(f"{what} is at {entry.base + entry.href!r}, which is not a place inside the repository")
    suffix = next((suffix for suffix in SUFFIXES if entry.href.endswith(suffix)), None)
    if suffix is None:
        raise RepositoryError(
            "REPO_INDEX_UNREADABLE",
            f"{what} is {entry.href}, in a compression that can't be read",
            hint="zstd, xz, bzip2, gzip and uncompressed metadata can be read",
        )
    plain = None
    if "open-checksum" in entry.texts:
        plain = Plain(_digest(entry, "open-checksum", what), _size(entry, "open-size", what))
    return ListedFile(entry.href, suffix, _digest(entry, "checksum", what), _size(entry, "size", what), plain)


def _digest(entry: _Data, name: str, what: str) -> str:
    if name not in entry.texts:
        raise no_sha256(f"{what} has no {name}")
    if entry.digests[name] != "sha256":
        raise no_sha256(f"{what} has a {name} of the kind {entry.digests[name] or 'nothing'!r}, not sha256")
    if not SHA256.fullmatch(entry.texts[name]):
        raise malformed(f"{what} has a {name} that is no SHA-256: {entry.texts[name]!r}")
    return entry.texts[name]


def _size(entry: _Data, name: str, what: str) -> int:
    text = entry.texts.get(name, "")
    if not SIZE.fullmatch(text):
        raise malformed(f"{what} has no {name} that is a number: {text!r}")
    return int(text)


def _time(text: str) -> int:
    match = TIME.fullmatch(text)
    return int(match[1]) if match else 0


class _Reader:
    """Reads the document into its elements `data`; expat tells it what is there.

    An encoding that the document names is not looked up. A document type is refused where it starts, so that there is
    no entity to be expanded.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._path: list[str] = []
        self._entries: list[_Data] = []
        self._revision = ""
        self._text: list[str] = []

    def read(self, content: bytes) -> tuple[str, list[_Data]]:
        parser = expat.ParserCreate("UTF-8", " ")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise malformed(f"{self._what} is not XML: {error}") from error
        return self._revision, self._entries

    def _refuse(self, *_: object) -> NoReturn:
        raise malformed(f"{self._what} declares a document type, which it must not")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self._path and name != f"{NAMESPACE} repomd":
            raise malformed(
                f"{self._what} is something else: its outermost element is {name.rsplit(' ', maxsplit=1)[-1]!r}"
            )
        self._path.append(name.removeprefix(f"{NAMESPACE} "))
        self._text = []
        match self._path[1:]:
            case ["data"]:
                self._entries.append(_Data(attributes.get("type", "")))
            case ["data", "location"]:
                self._entries[-1].href = attributes.get("href", "")
                self._entries[-1].base = attributes.get("http://www.w3.org/XML/1998/namespace base", "")
            case ["data", "checksum" | "open-checksum" as element]:
                self._entries[-1].digests[element] = attributes.get("type", "")

    def _end(self, _: str) -> None:
        text = "".join(self._text).strip()
        match self._path[1:]:
            case ["revision"]:
                self._revision = text
            case ["data", element]:
                self._entries[-1].texts[element] = text
        self._path.pop()
        self._text = []

    def _characters(self, text: str) -> None:
        self._text.append(text)
