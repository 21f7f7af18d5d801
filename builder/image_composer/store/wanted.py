"""A file that somebody needs, and getting it from the first mirror that has it as it should be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from image_composer.errors import RepositoryError
from image_composer.store.download import Downloader
from image_composer.store.place import Place

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that somebody needs, by its digest."""

    sha256: str
    size: int
    """Bytes that it has."""

    urls: tuple[str, ...]
    """Where it can be had, at least one; the first that works is used."""

    name: str
    """What it is, for messages."""

    repository: str
    """Id of the repository that vouches for it, for messages."""

    def __post_init__(self) -> None:
        if not DIGEST.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256!r} is not a SHA-256")
        if not self.urls:
            raise ValueError(f"{self.name} has no URL")


def download(wanted: Wanted, partial: Path, downloader: Downloader, advance: Callable[[int], None]) -> None:
    """Fill a file with what is wanted, from the first mirror that has it.

    Raises:
        RepositoryError: as the last mirror failed.
        OSError: the file can't be written.
    """
    *mirrors, last = wanted.urls
    for url in mirrors:
        try:
            return _download_intact(wanted, url, partial, downloader, advance)
        except RepositoryError as error:
            downloader.reporter.warning(f"{error.message}; trying the next mirror")
    return _download_intact(wanted, last, partial, downloader, advance)


def _download_intact(
    wanted: Wanted, url: str, partial: Path, downloader: Downloader, advance: Callable[[int], None]
) -> None:
    """Download from one mirror; what turns out wrong is fetched once more, from its first byte.

    It can be that only our partial file was bad, a proxy held an old copy, or the mirror was being updated.
    """
    try:
        _download_once(wanted, url, partial, downloader, advance, fresh=False)
    except RepositoryError as error:
        if error.code not in {"REPO_DIGEST_MISMATCH", "REPO_SIZE_MISMATCH"}:
            raise
        downloader.reporter.warning(f"{error.message}; fetching it again")
        _download_once(wanted, url, partial, downloader, advance, fresh=True)


def _download_once(
    wanted: Wanted,
    url: str,
    partial: Path,
    downloader: Downloader,
    advance: Callable[[int], None],
    *,
    fresh: bool,
) -> None:
    found = downloader.download(
        url,
        partial,
        size=wanted.size,
        name=wanted.name,
        repository=wanted.repository,
        advance=advance,
        fresh=fresh,
    )
    if found != wanted.sha256:
        advance(-wanted.size)
        partial.unlink()
        raise RepositoryError(
            "REPO_DIGEST_MISMATCH",
            Place.of(url, wanted.repository).sentence(
                f"{wanted.name} is not what the repository signed: expected SHA-256 {wanted.sha256}, found {found}"
            ),
            hint="the mirror is being updated or has been tampered with: try again later or name another mirror",
        )
