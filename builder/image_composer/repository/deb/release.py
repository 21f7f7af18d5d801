"""The Release file of a deb repository: whether it is the one asked for, how fresh it is, which indexes it vouches for.

Format: https://wiki.debian.org/DebianRepository/Format. Everything here is pure; what it reads has been verified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from image_composer.errors import RepositoryError
from image_composer.repository.sources import DebSource

CLOCK_TOLERANCE = timedelta(days=1)
"""How far in the future a repository's date may be: a wrong time zone or a clock that is off, not another year."""

SUFFIXES = (".xz", ".bz2", ".gz", "")
"""Compressions of an index that we can read, the best first."""

INDEX = re.compile(r"(?:(?P<component>[^ ]+)/)?binary-(?P<architecture>[a-z0-9-]+)/Packages(?:\.[a-z0-9]+)?")
DIGEST_LINE = re.compile(r"([0-9a-f]{64})[ \t]+([0-9]{1,15})[ \t]+(\S+)")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that Release vouches for."""

    path: str
    """Relative to Release."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """A Packages file to be read."""

    file: ListedFile
    """The file as it is fetched, compressed or not."""

    suffix: str
    """Its compression, one of `SUFFIXES`."""

    plain: ListedFile | None
    """What it must be once decompressed, as far as Release says."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a Release file says."""

    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    by_hash: bool
    """Whether indexes can be had by their digest, which stays right while the repository is being updated."""

    architecture_all_apart: bool
    """Whether packages for all architectures are in an index of their own only."""

    files: Mapping[str, ListedFile]
    """Files by path."""


def parse_release(content: bytes, repository: str) -> Release:
    """Read a Release file.

    Raises:
        RepositoryError: REPO_MALFORMED, REPO_NO_SHA256.
    """
    fields = _fields(content.decode("utf-8", "replace"))
    if "date" not in fields:
        raise RepositoryError("REPO_MALFORMED", f"repository {repository}: Release has no Date")
    if "sha256" not in fields:
        raise RepositoryError(
            "REPO_NO_SHA256",
            f"repository {repository}: Release lists no SHA-256 digests",
            hint="digests older than SHA-256 are not accepted: have the repository's metadata generated anew",
        )
    until = fields.get("valid-until")
    has_all = "all" in fields.get("architectures", "").split()
    return Release(
        suite=fields.get("suite", ""),
        codename=fields.get("codename", ""),
        date=_date(fields["date"], "Date", repository),
        valid_until=_date(until, "Valid-Until", repository) if until else None,
        by_hash=fields.get("acquire-by-hash", "") == "yes",
        architecture_all_apart=has_all and "Packages" not in fields.get("no-support-for-architecture-all", "").split(),
        files=_files(fields["sha256"], repository),
    )


def check_release(release: Release, source: DebSource, now: datetime) -> None:
    """Hold a release against what was asked for.

    Raises:
        RepositoryError: REPO_SUITE_MISMATCH, REPO_EXPIRED, REPO_FROM_FUTURE.
    """
    if not source.flat and source.suite not in {release.suite, release.codename}:
        names = " or ".join(name for name in (release.suite, release.codename) if name) or "nothing"
        raise RepositoryError(
            "REPO_SUITE_MISMATCH",
            f"repository {source.id}: {source.suite} was asked for, but its Release calls itself {names}",
            hint="name the suite as the repository does; if it does so already, the mirror serves the wrong one",
        )
    if release.valid_until is not None and release.valid_until < now:
        raise RepositoryError(
            "REPO_EXPIRED",
            f"repository {source.id}: its Release was valid until {_shown(release.valid_until)} only",
            hint="the mirror is out of date: name another one; and check this machine's clock",
        )
    if release.date > now + CLOCK_TOLERANCE:
        raise RepositoryError(
            "REPO_FROM_FUTURE",
            f"repository {source.id}: its Release is dated {_shown(release.date)}, which is yet to come",
            hint="check this machine's clock",
        )


def choose_indexes(release: Release, source: DebSource) -> list[PackageIndex]:
    """Choose the indexes that have to be read, one a component, or two where architecture `all` is apart.

    Raises:
        RepositoryError: REPO_COMPONENT_UNKNOWN, REPO_ARCHITECTURE_UNKNOWN, REPO_INDEX_UNREADABLE.
    """
    if source.flat:
        return [_best(release, "Packages", source)]
    chosen = []
    for component in source.components:
        folders = [f"{component}/binary-{source.architecture}"]
        if release.architecture_all_apart and _listed(release, f"{component}/binary-all/Packages"):
            folders.append(f"{component}/binary-all")
        if not _listed(release, f"{folders[0]}/Packages"):
            _check_known(release, component, source)
        chosen += [_best(release, f"{folder}/Packages", source) for folder in folders]
    return chosen


def _listed(release: Release, path: str) -> list[str]:
    return [suffix for suffix in (*SUFFIXES, ".zst", ".lzma", ".lz4") if path + suffix in release.files]


def _best(release: Release, path: str, source: DebSource) -> PackageIndex:
    listed = _listed(release, path)
    readable = [suffix for suffix in SUFFIXES if suffix in listed]
    if not readable:
        found = ", ".join(f"{path}{suffix}" for suffix in listed) or "no such file"
        raise RepositoryError(
            "REPO_INDEX_UNREADABLE",
            f"repository {source.id}: no index {path} in a compression that can be read; listed: {found}",
            hint="xz, bzip2, gzip and uncompressed indexes can be read",
        )
    suffix = readable[0]
    return PackageIndex(release.files[path + suffix], suffix, release.files.get(path))


def _check_known(release: Release, component: str, source: DebSource) -> None:
    """Explain an index that isn't there: the component or the architecture is not the repository's."""
    matches = [match for match in map(INDEX.fullmatch, release.files) if match and match["component"]]
    components = sorted({match["component"] for match in matches})
    if component not in components:
        raise RepositoryError(
            "REPO_COMPONENT_UNKNOWN",
            f"repository {source.id}: {source.suite} has no component {component}; "
            f"known: {', '.join(components) or 'none'}",
        )
    architectures = sorted({match["architecture"] for match in matches if match["component"] == component})
    raise RepositoryError(
        "REPO_ARCHITECTURE_UNKNOWN",
        f"repository {source.id}: {source.suite} {component} has nothing for {source.architecture}; "
        f"known: {', '.join(architectures)}",
    )


def _fields(text: str) -> dict[str, str]:
    """Give a paragraph's fields by lower-case name; the first counts when one is given twice."""
    fields: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        if line[:1] in {" ", "\t"}:
            if current:
                fields[current] += "\n" + line.strip()
            continue
        name, colon, value = line.partition(":")
        current = name.lower() if colon and name.lower() not in fields else ""
        if current:
            fields[current] = value.strip()
    return fields


def _files(section: str, repository: str) -> dict[str, ListedFile]:
    files = {}
    for line in section.splitlines():
        if not line:
            continue
        match = DIGEST_LINE.fullmatch(line)
        if match is None:
            raise RepositoryError("REPO_MALFORMED", f"repository {repository}: Release has a broken line: {line!r}")
        if _leaves(match[3]):
            raise RepositoryError(
                "REPO_MALFORMED", f"repository {repository}: Release lists {match[3]!r}, outside the repository"
            )
        path = match[3].removeprefix("./")
        files[path] = ListedFile(path, match[1], int(match[2]))
    return files


def _leaves(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/")


def _date(text: str, name: str, repository: str) -> datetime:
    try:
        found = parsedate_to_datetime(text)
    except ValueError as error:
        raise RepositoryError(
            "REPO_MALFORMED", f"repository {repository}: Release has a {name} that is no date: {text!r}"
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def by_hash_path(file: ListedFile) -> str:
    """Give the path under which a file can be had by its digest."""
    folder, _, _ = file.path.rpartition("/")
    return f"{folder}/by-hash/SHA256/{file.sha256}".lstrip("/")


def index_urls(release: Release, index: PackageIndex, source: DebSource) -> Sequence[str]:
    """Give the URLs that an index can be had at, the one that can't change meanwhile first."""
    plain = source.release_url(index.file.path)
    return (source.release_url(by_hash_path(index.file)), plain) if release.by_hash else (plain,)
