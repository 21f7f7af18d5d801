"""From repositories and a query to a lock: fetch, verify, load, solve."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from urllib.parse import quote

from image_composer.report import Reporter
from image_composer.repository.deb.load import load_deb_repository
from image_composer.repository.deb.pool import DebPool
from image_composer.repository.loaded import LoadedRepository, Means
from image_composer.repository.lock import Lock, LockedPackage, LockedRepository
from image_composer.repository.pool import PackageFacts, PackagePool
from image_composer.repository.query import PackageQuery
from image_composer.repository.solver import Solution, solve
from image_composer.repository.sources import DebSource, RepositorySource
from image_composer.run import Runner
from image_composer.spec.image import Target
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader
from image_composer.threads import Threads

LOADERS = 8
"""Repositories fetched at once: the work is waiting for the network and unpacking, which both let others run."""


def resolve(
    target: Target,
    sources: Sequence[RepositorySource],
    query: PackageQuery,
    request_digest: str,
    *,
    store: ContentStore,
    downloader: Downloader,
    runner: Runner,
    reporter: Reporter,
    now: datetime,
) -> Lock:
    """Find the packages that an image is made of.

    Args:
        target: distribution, release and architecture, for the lock.
        sources: repositories, in order of preference among those of equal priority; all of one architecture.
        query: the packages asked for.
        request_digest: digest of everything that decides about packages, for the lock.
        store: keeps indexes and what is made of them.
        downloader: fetches what the store doesn't have.
        runner: runs gpgv.
        reporter: told what happens.
        now: the time that repositories' dates are held against.

    Raises:
        RepositoryError: any repository can't be had or trusted.
        SolverError: the packages can't be had together.
        StoreError: the cache can't be used.
    """
    means = Means(store=store, downloader=downloader, runner=runner, reporter=reporter, now=now)
    with Threads(LOADERS, thread_name_prefix="repository") as threads:
        # when several fail, the first of them is the one that is told
        loaded = list(threads.map(lambda source: _load(source, means), sources))
    pool = _pool(loaded)
    reporter.info(f"{len(pool.solv.solvables)} packages in {len(sources)} repositories")
    solution = solve(pool, query)
    for package, better in solution.held_back:
        reporter.warning(
            f"{pool.name(package)} {pool.version(package)} is taken, not {pool.version(better)}: "
            "other packages asked for don't fit that one"
        )
    lock = Lock(
        target=target,
        request_digest=request_digest,
        repositories=_repositories(pool, solution, loaded),
        packages=_packages(pool, solution),
    )
    size = sum(package.size for package in lock.packages)
    reporter.info(f"{len(lock.packages)} packages chosen, {size / 1e6:.0f} MB to fetch at most")
    return lock


def _load(source: RepositorySource, means: Means) -> LoadedRepository:
    match source:
        case DebSource():
            return load_deb_repository(source, means)
        case _:
            raise NotImplementedError("rpm repositories are not read yet")


def _pool(loaded: Sequence[LoadedRepository]) -> PackagePool:
    pool = DebPool(loaded[0].source.architecture)
    for repository in loaded:
        for file in repository.files:
            pool.add(repository.source, file)
    return pool


def _repositories(pool: PackagePool, solution: Solution, loaded: Sequence[LoadedRepository]) -> list[LockedRepository]:
    """Give the repositories that packages come from, in the order in which they were given."""
    used = {pool.source_of(package).id for package in solution.packages}
    return [repository.locked for repository in loaded if repository.source.id in used]


def _packages(pool: PackagePool, solution: Solution) -> list[LockedPackage]:
    chosen = set(solution.packages)
    return [
        _package(
            pool.facts(package),
            requested=pool.name(package) in solution.requested,
            depends=_names(pool, pool.meeting_needs(package) & chosen - {package}),
            pre_depends=_names(pool, pool.meeting_early_needs(package) & chosen - {package}),
        )
        for package in solution.packages
    ]


def _names(pool: PackagePool, packages: AbstractSet[int]) -> list[str]:
    return sorted({pool.name(package) for package in packages})


def _package(facts: PackageFacts, *, requested: bool, depends: list[str], pre_depends: list[str]) -> LockedPackage:
    return LockedPackage(
        name=facts.name,
        version=facts.version,
        architecture=facts.architecture,
        url=f"{facts.repository.url.rstrip('/')}/{quote(facts.filename, safe='/+~:=,@')}",
        sha256=facts.sha256,
        size=facts.size,
        installed_size=facts.installed_size,
        repository=facts.repository.id,
        source=facts.source,
        source_version=facts.source_version,
        essential=facts.essential,
        requested=requested,
        depends=depends,
        pre_depends=pre_depends,
    )
