"""From a deb repository to what the solver reads."""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.repository.deb.metadata import VerifiedRepository, verify_repository
from image_composer.repository.deb.pool import DebPool
from image_composer.repository.deb.solvfile import solv_files
from image_composer.repository.loaded import LoadedRepository, Means
from image_composer.repository.lock import LockedRepository
from image_composer.repository.sources import DebSource


def load_deb_repository(source: DebSource, means: Means) -> LoadedRepository:
    """Fetch a deb repository's metadata, verify it and make it ready for the solver.

    Raises:
        RepositoryError: it can't be had or trusted.
        StoreError: the cache can't be used.
    """
    repository = verify_repository(source, downloader=means.downloader, runner=means.runner, now=means.now)
    files = solv_files(repository, store=means.store, downloader=means.downloader)
    return LoadedRepository(source, _locked(repository), files)


def deb_pool(loaded: Sequence[LoadedRepository]) -> DebPool:
    """Give the packages of all repositories."""
    pool = DebPool(loaded[0].source.architecture)
    for repository in loaded:
        for file in repository.files:
            pool.add(repository.source, file)
    return pool


def _locked(repository: VerifiedRepository) -> LockedRepository:
    source = repository.source
    return LockedRepository(
        id=source.id,
        url=source.url,
        suite=source.suite,
        components=list(source.components),
        release_digest=repository.digest,
        release_time=int(repository.release.date.timestamp()),
        signed_by=list(repository.signed_by),
    )
