"""What a repository says about itself, fetched and verified: its Release and which indexes belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.repository.deb.release import (
    PackageIndex,
    Release,
    check_release,
    choose_indexes,
    index_urls,
    parse_release,
)
from image_composer.repository.openpgp import Signed, verify_clearsigned, verify_detached
from image_composer.repository.sources import DebSource
from image_composer.run import Runner
from image_composer.store.content import ContentStore, Wanted
from image_composer.store.download import Downloader

RELEASE_LIMIT = 32 * 1024 * 1024
"""Bytes a Release file may have; Debian's largest, unstable's, has 0.2 MiB, but lists can be long elsewhere."""

SIGNATURE_LIMIT = 1024 * 1024
"""Bytes a detached signature may have; Debian's have 2 KiB."""


@dataclass(frozen=True, slots=True)
class VerifiedRepository:
    """A repository whose Release was verified and fits what was asked for."""

    source: DebSource
    release: Release
    digest: str
    """SHA-256 of InRelease, or of Release when the signature is detached."""

    signed_by: Sequence[str]
    """Fingerprints of the keys whose valid signature was found."""

    indexes: Sequence[PackageIndex]
    """Indexes of the packages that may be used."""


def verify_repository(
    source: DebSource, *, downloader: Downloader, runner: Runner, now: datetime
) -> VerifiedRepository:
    """Fetch a repository's Release, verify it and choose the indexes.

    Raises:
        RepositoryError: it can't be had, is not signed by one of the source's keys, or is not what was asked for.
    """
    signed, digest = _fetch_signed(source, downloader, runner)
    release = parse_release(signed.content, source.id)
    check_release(release, source, now)
    return VerifiedRepository(source, release, digest, signed.fingerprints, choose_indexes(release, source))


def obtain_index(
    repository: VerifiedRepository, index: PackageIndex, *, store: ContentStore, downloader: Downloader
) -> Path:
    """Give an index as the repository holds it, verified.

    Raises:
        RepositoryError: it can't be had, or is not what Release vouches for.
        StoreError: the cache can't be used.
    """
    source = repository.source
    urls = tuple(index_urls(repository.release, index, source))
    wanted = Wanted(index.file.sha256, index.file.size, urls, f"{source.suite} {index.file.path}", source.id)
    return store.obtain(wanted, downloader)


def _fetch_signed(source: DebSource, downloader: Downloader, runner: Runner) -> tuple[Signed, str]:
    """Give the verified Release and its digest, from InRelease or from Release and its signature."""
    document = _read(source, downloader, "InRelease", RELEASE_LIMIT)
    if document is not None:
        signed = verify_clearsigned(document, source.keys, runner=runner, repository=source.id)
        return signed, bytes_sha256(document)
    release = _read(source, downloader, "Release", RELEASE_LIMIT)
    if release is None:
        raise RepositoryError(
            "REPO_NOT_FOUND",
            f"repository {source.id}: there is neither InRelease nor Release at {source.release_url('')}",
            hint="check the repository's URL and suite",
        )
    signature = _read(source, downloader, "Release.gpg", SIGNATURE_LIMIT)
    if signature is None:
        raise RepositoryError(
            "REPO_UNSIGNED",
            f"repository {source.id}: its Release carries no signature",
            hint="only signed repositories are used: sign it, and name its public key",
        )
    signed = verify_detached(release, signature, source.keys, runner=runner, repository=source.id)
    return signed, bytes_sha256(release)


def _read(source: DebSource, downloader: Downloader, name: str, limit: int) -> bytes | None:
    """Give a file beside Release, or None when the repository doesn't have it."""
    try:
        return downloader.read(source.release_url(name), limit=limit, repository=source.id)
    except RepositoryError as error:
        if error.code == "REPO_NOT_FOUND":
            return None
        raise
