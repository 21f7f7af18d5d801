"""Why packages can't be had, in words: what was misspelt, what is missing, which chain of needs leads to a conflict."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import solv

from image_composer.errors import SolverError
from image_composer.repository.pool import Barred, PackagePool

SHOWN = 5
"""How many names, versions or chains a message lists: more are not read."""

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
    left_out = [
        package for package, why in pool.barred.items() if why is Barred.NOT_TAKEN and pool.name(package) == name
    ]
    if left_out:
        source = pool.source_of(left_out[0])
        return f"repository {source.id} has it, but only {', '.join(source.packages)} may be taken from there"
    providers = [pool.name(package) for package in pool.providers(name)]
    if providers:
        return f"a virtual package, provided by {_listed(providers)}; ask for one of them"
    longer = sorted(other for other in known if other.startswith(f"{name}-"))
    similar = [other for other in known if abs(len(other) - len(name)) <= 2]
    near = [*difflib.get_close_matches(name, similar, SHOWN, NEAR), *longer]
    return f"did you mean {_listed(list(dict.fromkeys(near)))}?" if near else "nothing has a similar name"


def explain_versions(pool: PackagePool, unavailable: Mapping[str, Sequence[str]]) -> SolverError:
    """Give the error for versions that no repository has.

    Args:
        pool: the packages that can be had.
        unavailable: patterns that the version must match, by name.
    """
    lines = [
        f"{name} {' and '.join(patterns)}: there is {_listed([pool.version(found) for found in pool.versions(name)])}"
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
    findings: list[_Finding] = []
    for problem in problems:
        found = _Case.read(pool, problem, roots).findings()
        findings += found or [_Finding("SOLVE_CONFLICT", frozenset({str(problem)}), str(problem))]
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


@dataclass(frozen=True, slots=True)
class _Finding:
    """One thing that stands in the way."""

    code: str
    names: frozenset[str]
    """What it is about: the same can be found for several versions of a package."""

    sentence: str


@dataclass(frozen=True, slots=True)
class _Step:
    """A package on the way from what was asked for; what it needs leads to the next one."""

    package: int
    needs: str = ""


@dataclass(slots=True)
class _Case:
    """What libsolv's rules say about one problem."""

    pool: PackagePool
    roots: Mapping[int, str]
    needs: dict[int, dict[int, str]] = field(default_factory=dict)
    """By package: what it needs, as libsolv's id and as text."""

    conflicts: dict[tuple[int, int], bool] = field(default_factory=dict)
    """Pairs of packages that can't be together; whether that is because they are versions of the same."""

    missing: dict[tuple[int, int], str] = field(default_factory=dict)
    """By package and libsolv's id of what it needs in vain: the text."""

    @classmethod
    def read(cls, pool: PackagePool, problem: Any, roots: Mapping[int, str]) -> _Case:
        case = cls(pool, roots)
        for rule in problem.findallproblemrules(True):
            for info in rule.allinfos():
                case._note(info)
        return case

    def _note(self, info: Any) -> None:
        kind = info.type
        if kind == solv.Solver.SOLVER_RULE_PKG_REQUIRES:
            self.needs.setdefault(info.solvable.id, {})[info.dep_id] = str(info.dep)
        elif kind == solv.Solver.SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP:
            self.missing[info.solvable.id, info.dep_id] = str(info.dep)
        elif kind in {solv.Solver.SOLVER_RULE_PKG_CONFLICTS, solv.Solver.SOLVER_RULE_PKG_SAME_NAME}:
            same = kind == solv.Solver.SOLVER_RULE_PKG_SAME_NAME
            self.conflicts[info.solvable.id, info.othersolvable.id] = same

    def findings(self) -> list[_Finding]:
        """Give what leads to the problem."""
        ways = self._ways()
        found = [
            self._explain_missing(ways[package], dep, text)
            for (package, dep), text in self.missing.items()
            if package in ways
        ]
        found += [
            self._explain_conflict(ways[one], ways[other], same=same)
            for (one, other), same in self.conflicts.items()
            if one in ways and other in ways
        ]
        return found

    def _ways(self) -> dict[int, list[_Step]]:
        """Give the shortest way from what was asked for to each package that the problem is about."""
        ways = {package: [_Step(package)] for package in self.roots}
        pending = deque(self.roots)
        while pending:
            package = pending.popleft()
            for dep, text in self.needs.get(package, {}).items():
                for found in self.pool.solv.whatprovides(dep):
                    if found.id not in ways:
                        ways[found.id] = [*ways[package][:-1], _Step(package, text), _Step(found.id)]
                        pending.append(found.id)
        return ways

    def _explain_missing(self, way: Sequence[_Step], dep: int, text: str) -> _Finding:
        last = way[-1].package
        chain = self._told([*way[:-1], _Step(last, text)])
        names = frozenset({self.pool.name(last), text})
        for package, why in self.pool.barred.items():
            if not self.pool.solv.id2solvable(package).matchesdep(solv.SOLVABLE_PROVIDES, dep):
                continue
            if why is Barred.EXCLUDED:
                return _Finding("SOLVE_EXCLUDED", names, f"{chain}, but {self.pool.name(package)} is excluded")
            label = f"{self._label(package)} of repository {self.pool.source_of(package).id}"
            reason = "another repository, of higher priority, has that package too"
            if why is Barred.NOT_TAKEN:
                reason = "that package may not be taken from there"
            return _Finding("SOLVE_UNSATISFIABLE", names, f"{chain}; {label} would do, but {reason}")
        name = self.pool.subject(text)
        versions = [self.pool.version(found) for found in self.pool.versions(name)] if name else []
        there = f"; there is {_listed(versions)}" if versions else ""
        return _Finding("SOLVE_UNSATISFIABLE", names, f"{chain}, which no repository has{there}")

    def _explain_conflict(self, way: Sequence[_Step], other_way: Sequence[_Step], *, same: bool) -> _Finding:
        if same:  # which of two versions is the first says nothing: tell them as they were asked for
            order = list(self.roots)
            way, other_way = sorted((way, other_way), key=lambda steps: order.index(steps[0].package))
        one, other = way[-1].package, other_way[-1].package
        chains = [self._told(steps) for steps in (way, other_way) if len(steps) > 1]
        if same:
            versions = f"{self.pool.version(one)} and {self.pool.version(other)}"
            end = f"{self.pool.name(one)} can't be there in two versions, {versions}"
        else:
            end = f"{self._end(way)} conflicts with {self._end(other_way)}"
        names = frozenset({self.pool.name(one), self.pool.name(other)})
        return _Finding("SOLVE_CONFLICT", names, "; ".join([*chains, end]))

    def _end(self, way: Sequence[_Step]) -> str:
        label = self._label(way[-1].package)
        return f"{label} ({self.roots[way[0].package]})" if len(way) == 1 else label

    def _told(self, way: Sequence[_Step]) -> str:
        """Tell a way from a package that has to be there: `a 1 (requested) needs b >= 2, which needs c`."""
        text = self._end(way[:1])
        for position, step in enumerate(way):
            name = self.pool.name(step.package)
            if position and name != self.pool.subject(way[position - 1].needs):
                text += f" (taking {name})"
            if step.needs:
                text += f"{', which' if position else ''} needs {step.needs}"
        return text

    def _label(self, package: int) -> str:
        return f"{self.pool.name(package)} {self.pool.version(package)}"


def _listed(items: Sequence[str]) -> str:
    """Give the first of many, and how many more there are."""
    unique = list(dict.fromkeys(items))
    more = f" and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return ", ".join(unique[:SHOWN]) + more


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
