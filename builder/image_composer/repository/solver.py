"""The solver: which packages an image is made of, or why there is no such set.

Where a family's own package manager chooses otherwise than libsolv would, its choice comes first (`proposal`): libsolv
checks it; when it does not hold, libsolv searches for a set that does, staying as near to it as it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import solv

from image_composer.errors import SolverError
from image_composer.repository.explain import explain_problems, explain_versions, unknown_packages
from image_composer.repository.pool import PackagePool
from image_composer.repository.query import PackageQuery


@dataclass(frozen=True, slots=True)
class Solution:
    """Packages that can be installed together and hold all that was asked for."""

    packages: tuple[int, ...]
    """The packages, by name."""

    requested: frozenset[str]
    """Names of the packages that meet what was asked for."""

    held_back: tuple[tuple[int, int], ...]
    """Packages taken in another version than the preferred one, which fits nothing else, with that one. apt would give
    up here; older versions can lack security fixes, so that people have to be told."""


@dataclass(frozen=True, slots=True)
class _Root:
    """Something that has to be there."""

    packages: tuple[int, ...]
    """The packages that would do, the preferred first."""

    why: str


def solve(pool: PackagePool, query: PackageQuery) -> Solution:
    """Find the packages that meet a query, with all that Debian calls Essential.

    Args:
        pool: all packages of the repositories; not yet prepared.
        query: what is asked for.

    Raises:
        SolverError: SOLVE_UNKNOWN_PACKAGE, SOLVE_VERSION_UNAVAILABLE, SOLVE_EXCLUDED, SOLVE_CONFLICT or
            SOLVE_UNSATISFIABLE.
    """
    wanted = query.wanted
    excluded = sorted(wanted.keys() & set(query.exclude))
    if excluded:
        raise SolverError(
            "SOLVE_EXCLUDED",
            f"asked for and excluded at the same time: {', '.join(excluded)}",
            hint="remove it from packages or from excludePackages",
        )
    pool.prepare(query.exclude, query.pinned)
    _check_essential(pool)
    allowed = _allowed(pool, wanted)
    essential = [name for name in pool.essential_names() if name not in allowed]
    roots = [_Root(tuple(pool.versions(name)), "essential") for name in essential]
    asked_for = [
        _Root(tuple(_with_replacing(pool, packages, wanted[name])), "requested") for name, packages in allowed.items()
    ]
    roots += asked_for
    preferences = [root.packages[0] for root in roots]
    proposal = pool.proposal(preferences, recommends=query.install_recommends)
    found = _confirm(pool, proposal) if proposal is not None else None
    if found is None:
        found = _search(pool, roots, preferences if proposal is None else proposal, query)
    packages = tuple(sorted(found, key=pool.name))
    candidates = [(package, pool.candidate(pool.name(package))) for package in packages]
    held_back = tuple((package, best) for package, best in candidates if best is not None and best != package)
    requested = {package for root in asked_for for package in root.packages}.intersection(packages)
    return Solution(packages, frozenset(map(pool.name, requested)), held_back)


def _check_essential(pool: PackagePool) -> None:
    names = pool.excluded_essential_names()
    if names:
        raise SolverError(
            "SOLVE_EXCLUDED",
            f"excluded, but no installation can do without: {', '.join(names)}",
            hint="remove it from excludePackages",
        )


def _allowed(pool: PackagePool, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Give the packages that would do for each name, the preferred first."""
    found = {name: pool.versions(name) for name in wanted}
    unknown = [name for name, packages in found.items() if not packages]
    if unknown:
        raise unknown_packages(pool, unknown)
    allowed = {
        name: [
            package
            for package in packages
            if all(
                any(fnmatchcase(spelling, pattern) for spelling in pool.spellings(package)) for pattern in wanted[name]
            )
        ]
        for name, packages in found.items()
    }
    unavailable = {name: wanted[name] for name, packages in allowed.items() if not packages}
    if unavailable:
        raise explain_versions(pool, unavailable)
    for name, packages in allowed.items():
        if wanted[name]:
            pool.select(packages[0])
    return allowed


def _with_replacing(pool: PackagePool, packages: Sequence[int], patterns: Sequence[str]) -> tuple[int, ...]:
    """Give the packages that would do for a name with those that took the preferred one's place before them.

    Who asks for a version means that package.
    """
    return (*(() if patterns else pool.replacing(packages[0])), *packages)


def _confirm(pool: PackagePool, proposal: Sequence[int]) -> list[int] | None:
    """Give the proposal if it can be installed just as it is."""
    jobs = [pool.solv.Job(solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE, package) for package in proposal]
    solver = pool.solv.Solver()
    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 1)
    if solver.solve(jobs):
        return None
    found = [package.id for package in solver.transaction().newsolvables()]
    return found if set(found) == set(proposal) else None


def _search(pool: PackagePool, roots: Sequence[_Root], favoured: Sequence[int], query: PackageQuery) -> list[int]:
    """Let libsolv find a set, preferring some packages.

    Raises:
        SolverError: SOLVE_CONFLICT, SOLVE_EXCLUDED, SOLVE_UNSATISFIABLE.
    """
    install = solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE_ONE_OF
    favour = solv.Job.SOLVER_FAVOR | solv.Job.SOLVER_SOLVABLE
    jobs = [pool.solv.Job(install, pool.solv.towhatprovides(list(root.packages))) for root in roots]
    jobs += [pool.solv.Job(favour, package) for package in favoured]
    solver = pool.solv.Solver()
    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 0 if query.install_recommends else 1)
    problems = solver.solve(jobs)
    if problems:
        reasons = {package: root.why for root in roots for package in root.packages}
        raise explain_problems(pool, problems, reasons)
    return [package.id for package in solver.transaction().newsolvables()]
