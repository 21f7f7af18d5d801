"""Why packages can't be had, in words: what was misspelt, which version is missing, what stands in the way."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from image_composer.errors import SolverError
from image_composer.repository.obstacles import SHOWN, Finding, listed, most_telling, obstacles
from image_composer.repository.pool import Barred, PackagePool

NEAR = 0.75
"""Likeness, of 1, from which a name counts as a misspelling; difflib's default, 0.6, finds too much."""


def unknown_packages(pool: PackagePool, names: Sequence[str]) -> SolverError:
    """Give the error for names that no repository has, with what may have been meant."""
    known = pool.names()
    lines = [f"{name}: {_guess(pool, name, known)}" for name in names]
    return SolverError(
        "SOLVE_UNKNOWN_PACKAGE",
        "\n".join([f"no repository has {_counted(len(names), 'package')} of those asked for:", *_indented(lines)]),
        hint="check the spelling, and whether the repository that has it is among those used",
    )


def _guess(pool: PackagePool, name: str, known: set[str]) -> str:
    left_out = [package for package in pool.barred if pool.name(package) == name]
    if left_out:
        return _left_out(pool, most_telling(pool, left_out))
    providers = [pool.name(package) for package in pool.providers(name)]
    if providers:
        return f"a virtual package, provided by {listed(providers)}; ask for one of them"
    longer = sorted(other for other in known if other.startswith(f"{name}-"))
    similar = [other for other in known if abs(len(other) - len(name)) <= 2]
    near = [*difflib.get_close_matches(name, similar, SHOWN, NEAR), *longer]
    return f"did you mean {listed(list(dict.fromkeys(near)))}?" if near else "nothing has a similar name"


def _left_out(pool: PackagePool, package: int) -> str:
    source = pool.source_of(package)
    has = f"repository {source.id} has it"
    match pool.barred[package]:
        case Barred.NOT_TAKEN:
            return f"{has}, but only {', '.join(source.packages)} may be taken from there"
        case Barred.OF_MODULE:
            return f"{has} as part of a module, and modules can't be chosen"
        case _:
            return f"{has} for {pool.facts(package).architecture} only"


def explain_versions(pool: PackagePool, unavailable: Mapping[str, Sequence[str]]) -> SolverError:
    """Give the error for versions that no repository has.

    Args:
        pool: the packages that can be had.
        unavailable: patterns that the version must match, by name.
    """
    lines = [
        f"{name} {' and '.join(patterns)}: there is {listed([pool.version(found) for found in pool.versions(name)])}"
        for name, patterns in unavailable.items()
    ]
    return SolverError(
        "SOLVE_VERSION_UNAVAILABLE",
        "\n".join(["no repository has the version asked for:", *_indented(lines)]),
        hint="name a version that is there, or leave it out to take the newest",
    )


def explain_problems(pool: PackagePool, problems: Iterable[Any], roots: Mapping[int, str]) -> SolverError:
    """Give the error for a request that libsolv found no solution for.

    Args:
        pool: the packages that can be had.
        problems: as libsolv's solver gives them.
        roots: the packages that would do for what has to be there, the preferred first, and why that has to be there:
            `requested` or `essential`.
    """
    findings: list[Finding] = []
    for problem in problems:
        found = obstacles(pool, problem, roots)
        findings += found or [Finding("SOLVE_CONFLICT", frozenset({str(problem)}), str(problem))]
    codes = {finding.code for finding in findings}
    code = next(code for code in HINTS if code in codes)
    told = {finding.names: finding.sentence for finding in reversed(findings)}  # the first that was found of each
    lines = [*told.values()][::-1][:SHOWN]
    return SolverError(
        code,
        "\n".join(["the packages asked for can't be had together:", *_indented(lines)]),
        hint=HINTS[code],
    )


HINTS = {
    "SOLVE_EXCLUDED": "remove the package from excludePackages, or do without what needs it",
    "SOLVE_UNSATISFIABLE": "add the repository that has what is missing, or do without what needs it",
    "SOLVE_CONFLICT": "do without one of the packages that lead to the conflict",
}
"""By code, the one that tells most first."""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
