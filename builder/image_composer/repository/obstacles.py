"""What stands in the way of a request, read out of libsolv's rules and told in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import solv

from image_composer.repository.pool import Barred, PackagePool

SHOWN = 5
"""How many names, versions or chains a message lists: more are not read."""

WITH_FILES = 0
"""libsolv's way to ask for what a package provides, the files that others need included."""

REASONS = {
    Barred.OUTRANKED: "another repository, of higher priority, has that package too",
    Barred.NOT_TAKEN: "that package may not be taken from there",
    Barred.OF_MODULE: "it is part of a module, and modules can't be chosen",
    Barred.FOREIGN: "it is for another architecture",
}
"""Why a package that would do is not to be had."""

SAME = "the same"

VERBS = {
    solv.Solver.SOLVER_RULE_PKG_CONFLICTS: "conflicts with",
    solv.Solver.SOLVER_RULE_PKG_SELF_CONFLICT: "conflicts with",
    solv.Solver.SOLVER_RULE_PKG_OBSOLETES: "obsoletes",
    solv.Solver.SOLVER_RULE_PKG_IMPLICIT_OBSOLETES: "obsoletes",
    solv.Solver.SOLVER_RULE_PKG_SAME_NAME: SAME,
}
"""By libsolv's rule: what one package does to the other."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in the way of a request."""

    code: str
    names: frozenset[str]
    """What it is about: the same can be found for several versions of a package."""

    sentence: str


def obstacles(pool: PackagePool, problem: Any, roots: Mapping[int, str]) -> list[Finding]:
    """Give what leads to a problem.

    Args:
        pool: the packages that can be had.
        problem: as libsolv's solver gives it.
        roots: the packages that would do for what has to be there, and why; see `explain_problems`.
    """
    case = _Case(pool, roots)
    for rule in problem.findallproblemrules(True):
        for info in rule.allinfos():
            case.note(info)
    return case.findings()


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

    conflicts: dict[tuple[int, int], str] = field(default_factory=dict)
    """Pairs of packages that can't be together; what the first does to the second, see `VERBS`."""

    missing: dict[tuple[int, int], str] = field(default_factory=dict)
    """By package and libsolv's id of what it needs in vain: the text."""

    opposed: dict[int, str] = field(default_factory=dict)
    """By package: packages that it can't be with when all of them are there, as libsolv writes it."""

    upset: dict[tuple[int, int], str] = field(default_factory=dict)
    """By package and another one that must not be there, or calls for more: what the first needs, as text."""

    def note(self, info: Any) -> None:
        """Take down what one rule of libsolv's says."""
        kind = info.type
        if kind == solv.Solver.SOLVER_RULE_PKG_REQUIRES:
            self.needs.setdefault(info.solvable.id, {})[info.dep_id] = str(info.dep)
            if info.othersolvable:
                self.upset[info.solvable.id, info.othersolvable.id] = str(info.dep)
        elif kind == solv.Solver.SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP:
            self.missing[info.solvable.id, info.dep_id] = str(info.dep)
        elif kind == solv.Solver.SOLVER_RULE_PKG_SELF_CONFLICT:
            self.conflicts[info.solvable.id, info.solvable.id] = VERBS[kind]
        elif kind in VERBS and not info.othersolvable:
            self.opposed[info.solvable.id] = str(info.dep)
        elif kind in VERBS:
            self.conflicts[info.solvable.id, info.othersolvable.id] = VERBS[kind]

    def findings(self) -> list[Finding]:
        """Give what leads to the problem."""
        ways = self._ways()
        found = [
            self._explain_missing(ways[package], dep, text)
            for (package, dep), text in self.missing.items()
            if package in ways
        ]
        found += [
            self._explain_conflict(ways[one], ways[other], verb)
            for (one, other), verb in self.conflicts.items()
            if one in ways and other in ways
        ]
        found += [self._explain_opposed(ways[one], text) for one, text in self.opposed.items() if one in ways]
        if not found:  # seldom all that is to be said
            found = [
                self._explain_upset(ways[one], ways[other], text)
                for (one, other), text in self.upset.items()
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

    def _explain_missing(self, way: Sequence[_Step], dep: int, text: str) -> Finding:
        last = way[-1].package
        chain = self._told([*way[:-1], _Step(last, text)])
        names = frozenset({self.pool.name(last), text})
        would_do = [
            package
            for package in self.pool.barred
            if self.pool.solv.id2solvable(package).matchesdep(solv.SOLVABLE_PROVIDES, dep, WITH_FILES)
        ]
        if would_do:
            return self._explain_barred(most_telling(self.pool, would_do), chain, names)
        name = self.pool.subject(text)
        versions = [self.pool.version(found) for found in self.pool.versions(name)] if name else []
        there = f"; there is {listed(versions)}" if versions else ""
        return Finding("SOLVE_UNSATISFIABLE", names, f"{chain}, which no repository has{there}")

    def _explain_barred(self, package: int, chain: str, names: frozenset[str]) -> Finding:
        why = self.pool.barred[package]
        if why is Barred.EXCLUDED:
            return Finding("SOLVE_EXCLUDED", names, f"{chain}, but {self.pool.name(package)} is excluded")
        label = f"{self._label(package)} of repository {self.pool.source_of(package).id}"
        return Finding("SOLVE_UNSATISFIABLE", names, f"{chain}; {label} would do, but {REASONS[why]}")

    def _explain_conflict(self, way: Sequence[_Step], other_way: Sequence[_Step], verb: str) -> Finding:
        if verb == SAME:  # which of two versions is the first says nothing: tell them as they were asked for
            order = list(self.roots)
            way, other_way = sorted((way, other_way), key=lambda steps: order.index(steps[0].package))
        one, other = way[-1].package, other_way[-1].package
        ways = (way, other_way) if one != other else (way,)
        chains = [self._told(steps) for steps in ways if len(steps) > 1]
        if verb == SAME:
            versions = f"{self.pool.version(one)} and {self.pool.version(other)}"
            end = f"{self.pool.name(one)} can't be there in two versions, {versions}"
        else:
            end = f"{self._end(way)} {verb} {self._end(other_way) if one != other else 'itself'}"
        names = frozenset({self.pool.name(one), self.pool.name(other)})
        return Finding("SOLVE_CONFLICT", names, "; ".join([*chains, end]))

    def _explain_opposed(self, way: Sequence[_Step], text: str) -> Finding:
        chains = [self._told(way)] if len(way) > 1 else []
        names = frozenset({self.pool.name(way[-1].package), text})
        return Finding("SOLVE_CONFLICT", names, "; ".join([*chains, f"{self._end(way)} conflicts with {text}"]))

    def _explain_upset(self, way: Sequence[_Step], other_way: Sequence[_Step], text: str) -> Finding:
        one, other = way[-1].package, other_way[-1].package
        chain = self._told([*way[:-1], _Step(one, text)])
        others = f"; {self._told(other_way)}" if len(other_way) > 1 else ""
        names = frozenset({self.pool.name(one), self.pool.name(other)})
        return Finding("SOLVE_CONFLICT", names, f"{chain}, which can't be met beside {self._end(other_way)}{others}")

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


def most_telling(pool: PackagePool, packages: Iterable[int]) -> int:
    """Give the barred package of several that explains best why none of them is to be had."""
    order = list(Barred)
    return min(packages, key=lambda package: order.index(pool.barred[package]))


def listed(items: Sequence[str]) -> str:
    """Give the first of many, and how many more there are."""
    unique = list(dict.fromkeys(items))
    more = f" and {len(unique) - SHOWN} more" if len(unique) > SHOWN else ""
    return ", ".join(unique[:SHOWN]) + more
