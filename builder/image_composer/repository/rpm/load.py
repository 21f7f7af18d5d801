"""From rpm repositories to the packages that the solver chooses from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.repository.loaded import LoadedRepository, Means
from image_composer.repository.lock import LockedRepository
from image_composer.repository.query import PackageQuery
from image_composer.repository.rpm.metadata import VerifiedRepository, verify_repository
from image_composer.repository.rpm.paths import lacks_paths
from image_composer.repository.rpm.pool import RpmPool
from image_composer.repository.rpm.solvfile import solv_file
from image_composer.repository.sources import RpmSource


@dataclass(frozen=True, slots=True)
class LoadedRpmRepository(LoadedRepository):
    """An rpm repository that is ready for the solver."""

    repository: VerifiedRepository


def load_rpm_repository(source: RpmSource, means: Means) -> LoadedRpmRepository:
    """Fetch an rpm repository's metadata, verify it as its policy says and make it ready for the solver.

    Raises:
        RepositoryError: it can't be had or trusted.
        StoreError: the cache can't be used.
    """
    repository = verify_repository(source, means)
    locked = LockedRepository(
        id=source.id,
        url=source.url,
        release_digest=repository.digest,
        release_time=repository.repomd.published,
        signed_by=list(repository.signed_by),
    )
    return LoadedRpmRepository(source, locked, [solv_file(repository, means)], repository)


def rpm_pool(loaded: Sequence[LoadedRpmRepository], query: PackageQuery, means: Means) -> RpmPool:
    """Give the packages of all repositories, with as many of their paths as the query can ask for.

    Raises:
        RepositoryError: filelists.xml is needed and can't be had, or is broken.
        StoreError: the cache can't be used.
    """
    pool = _pool(loaded, lambda each: each.files[0])
    pool.prepare(query.exclude, query.pinned)
    if not lacks_paths(pool, query.wanted, recommends=query.install_recommends):
        return pool
    means.reporter.info("packages need paths that only the repositories' lists of all files know")
    return _pool(loaded, lambda each: solv_file(each.repository, means, every_path=True))


def _pool(loaded: Sequence[LoadedRpmRepository], file: Callable[[LoadedRpmRepository], Path]) -> RpmPool:
    pool = RpmPool(loaded[0].source.architecture)
    for each in loaded:
        pool.add(each.source, file(each), modular=each.repository.repomd.modular)
    return pool
