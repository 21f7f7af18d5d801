"""The Packages index of a deb repository: the few fields that the solver's library does not read, and what must hold.

A large index has 65,000 paragraphs in 55 MB, so this looks for the fields it wants and builds nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from image_composer.errors import RepositoryError

PRIORITIES = ("required", "important", "standard", "optional", "extra")
"""Priorities of packages, the highest first: Debian Policy, section 2.5."""

NEEDED = (b"Package", b"Version", b"Architecture", b"Filename", b"Size", b"SHA256")
DEPENDENCIES = (b"Pre-Depends", b"Depends", b"Recommends", b"Suggests")
WANTED = frozenset({*NEEDED, *DEPENDENCIES, b"Essential", b"Priority", b"Source"})

NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")
VERSION = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,127}")
SIZE = re.compile(rb"[0-9]{1,15}")
SHA256 = re.compile(rb"[0-9a-f]{64}")
SOURCE = re.compile(rb"([A-Za-z0-9][A-Za-z0-9+._-]*)(?:[ \t]+\(([A-Za-z0-9.+~:_-]+)\))?")
PATH = re.compile(rb"(?!/)(?!(?:[^/]*/)*\.\.(?:/|$))[!-~]+")
"""Printable, relative, and without `..` as a part."""


class IndexEntry(NamedTuple):
    """A package as its repository lists it."""

    name: str
    version: str
    architecture: str
    filename: str
    """Path of the package file relative to the repository's base URL."""

    size: int
    sha256: str
    source: str
    source_version: str
    essential: bool
    priority: int
    """Position in `PRIORITIES`."""

    depends: str
    """Pre-Depends and then Depends: the order decides where there are alternatives."""

    pre_depends: str
    """What must be configured before the package is unpacked."""

    recommends: str
    suggests: str


def scan_packages(index: bytes, what: str) -> Iterator[IndexEntry]:
    """Give the packages of an index, in its order.

    Args:
        index: a Packages file, uncompressed.
        what: repository and file, for messages.

    Raises:
        RepositoryError: REPO_MALFORMED, with the package that is wrong.
    """
    start = 0
    while start < len(index):
        end = index.find(b"\n\n", start)
        end = len(index) if end < 0 else end
        paragraph = index[start:end]
        if paragraph.strip():
            yield _entry(_fields(paragraph, what), what)
        start = end + 2


def _fields(paragraph: bytes, what: str) -> dict[bytes, bytes]:
    """Give the fields that are wanted; lines are split rather than searched for, which takes half the time."""
    values: dict[bytes, bytes] = {}
    last = b""
    for line in paragraph.split(b"\n"):
        if line[:1] in b" \t":
            if last in DEPENDENCIES:
                values[last] += line.rstrip()
            continue
        last, _, value = line.partition(b":")
        if last in WANTED:
            if last in values:
                raise _malformed(values, what, f"has the field {last.decode()} twice")
            values[last] = value.strip()
    return values


def _entry(values: dict[bytes, bytes], what: str) -> IndexEntry:
    missing = [name.decode() for name in NEEDED if name not in values]
    if missing:
        raise _malformed(values, what, f"lacks {', '.join(missing)}")
    name, version, architecture, filename, size, sha256 = (values[needed] for needed in NEEDED)
    source = SOURCE.fullmatch(values.get(b"Source", name))
    for pattern, value, label in (
        (NAME, name, "name"),
        (VERSION, version, "version"),
        (NAME, architecture, "architecture"),
        (PATH, filename, "file name (it must stay inside the repository)"),
        (SIZE, size, "size"),
        (SHA256, sha256, "SHA256"),
    ):
        if pattern.fullmatch(value) is None:
            raise _malformed(values, what, f"has an unacceptable {label}: {value.decode('utf-8', 'replace')!r}")
    if source is None:
        raise _malformed(values, what, "has an unacceptable source")
    return IndexEntry(
        name=name.decode(),
        version=version.decode(),
        architecture=architecture.decode(),
        filename=filename.decode(),
        size=int(size),
        sha256=sha256.decode(),
        source=source[1].decode(),
        source_version=(source[2] or version).decode(),
        essential=values.get(b"Essential", b"no") == b"yes",
        priority=_PRIORITY.get(values.get(b"Priority", b""), len(PRIORITIES) - 1),
        depends=_joined(values, b"Pre-Depends", b"Depends"),
        pre_depends=_joined(values, b"Pre-Depends"),
        recommends=_joined(values, b"Recommends"),
        suggests=_joined(values, b"Suggests"),
    )


def _joined(values: dict[bytes, bytes], *names: bytes) -> str:
    return b", ".join(values[name] for name in names if values.get(name)).decode("utf-8", "replace")


_PRIORITY = {name.encode(): position for position, name in enumerate(PRIORITIES)}


def _malformed(values: dict[bytes, bytes], what: str, problem: str) -> RepositoryError:
    named = b" ".join(values[key] for key in (b"Package", b"Version") if key in values)
    subject = named.decode("utf-8", "replace") or "a package without a name"
    return RepositoryError(
        "REPO_MALFORMED",
        f"{what}: {subject} {problem}",
        hint="the repository's index is broken: tell its owner, or leave the repository out",
    )
