"""From repositories and a query to a lock: fetch, verify, load, solve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from image_composer.report import Reporter
from image_composer.repository.deb.load import deb_pool, load_deb_repository
from image_composer.repository.loaded import LoadedRepository, Means
from image_composer.repository.lock import Lock, LockedPackage, LockedRepository
from image_composer.repository.pool import PackageFacts, PackagePool
from image_composer.repository.query import PackageQuery
from image_composer.repository.rpm.load import load_rpm_repository, rpm_pool
from image_composer.repository.solver import Solution, solve
from image_composer.repository.sources import DebSource, RepositorySource, RpmSource
from image_composer.run import Runner
from image_composer.spec.image import Target
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader
from image_composer.threads import Threads

S = TypeVar("S", bound=RepositorySource)
L = TypeVar("L", bound=LoadedRepository)

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
    loaded, pool = _load(sources, query, means)
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


def _load(
    sources: Sequence[RepositorySource], query: PackageQuery, means: Means
) -> tuple[Sequence[LoadedRepository], PackagePool]:
    """Fetch and verify all repositories, which are of one family, and give their packages."""
    debs = [source for source in sources if isinstance(source, DebSource)]
    if debs:
        deb = _at_once(load_deb_repository, debs, means)
        return deb, deb_pool(deb)
    rpm = _at_once(load_rpm_repository, [source for source in sources if isinstance(source, RpmSource)], means)
    return rpm, rpm_pool(rpm, query, means)


def _at_once(load: Callable[[S, Means], L], sources: Sequence[S], means: Means) -> list[L]:
    """Load repositories at once; when several fail, the first of them is the one that is told."""
    with Threads(LOADERS, thread_name_prefix="repository") as threads:
        return list(threads.map(lambda source: load(source, means), sources))


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
