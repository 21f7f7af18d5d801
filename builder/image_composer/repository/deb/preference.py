"""Which packages apt would choose.

Where a dependency can be met in several ways, a solver may take any of them. People expect apt's choice, and apt
chooses as it goes: depth first, from the packages asked for on, taking the first alternative that can be had, leaving
alone what is met already. This walks the same way. It proposes only: the solver says whether the proposal holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a package depends on or recommends."""

    text: str
    """As its repository says it, for example `debconf (>= 0.5) | debconf-2.0`."""

    choices: tuple[int, ...]
    """Candidates that would meet it, in the order in which apt would try them."""

    met_by: frozenset[int]
    """All packages that meet it, candidates or not."""


class Packages(Protocol):
    """What the walk asks about packages; `DebPool` answers."""

    def needs(self, package: int) -> Sequence[Need]: ...  # noqa: D102 - see DebPool
    def recommendations(self, package: int) -> Sequence[Need]: ...  # noqa: D102 - see DebPool
    def suggestions(self, package: int) -> Sequence[Need]: ...  # noqa: D102 - see DebPool
    def foes(self, package: int) -> frozenset[int]: ...  # noqa: D102 - see DebPool


def preferred(pool: Packages, requested: Sequence[int], *, recommends: bool) -> list[int]:
    """Give the packages that apt would install into an empty root, as far as a walk finds out.

    Args:
        pool: the packages that can be had.
        requested: packages asked for, in the order in which they were.
        recommends: whether recommended packages are wanted.
    """
    walk = _Walk(pool, recommends=recommends)
    walk.start(requested)
    return walk.needed(requested)


class _Walk:
    """The packages chosen so far, and how far they are settled.

    A package is settled when nothing else can take its place: it was asked for, or is the only one that meets a need of
    a settled package. Others give way when they stand in the way of a later choice.
    """

    def __init__(self, pool: Packages, *, recommends: bool) -> None:
        self._pool = pool
        self._recommends = recommends
        self._chosen: dict[int, None] = {}  # in order of choice
        self._settled: set[int] = set()
        self._failed: set[int] = set()
        self._open: set[int] = set()  # packages whose needs are being met right now
        self._opposed: dict[int, set[int]] = defaultdict(set)  # by package: chosen ones that can't be with it
        self._changes: list[tuple[bool, int]] = []  # for undoing: whether added, and which

    def start(self, requested: Sequence[int]) -> None:
        for package in requested:
            self._add(package)
            self._settled.add(package)
        for package in requested:
            self._meet_needs(package)
        self._hold_back()

    def needed(self, requested: Sequence[int]) -> list[int]:
        """Give the chosen packages that something still calls for, be it by a suggestion, as apt's cleaning up does."""
        kept = dict.fromkeys(requested)
        pending = list(kept)
        while pending:
            package = pending.pop()
            needs = [
                *self._pool.needs(package),
                *self._pool.recommendations(package),
                *self._pool.suggestions(package),
            ]
            for found in {found for need in needs for found in need.met_by & self._chosen.keys()} - kept.keys():
                kept[found] = None
                pending.append(found)
        return [package for package in self._chosen if package in kept]

    def _hold_back(self) -> None:
        """Leave out what lost something that it needs to a later choice, and then what needs that."""
        broken = {package for package in self._chosen if self._lacks_something(package)} - self._settled
        while broken:
            for package in broken:
                self._take(package)
            broken = {package for package in self._chosen if self._lacks_something(package)} - self._settled

    def _lacks_something(self, package: int) -> bool:
        return any(need.met_by.isdisjoint(self._chosen) for need in self._pool.needs(package))

    def _choose(self, package: int, *, settle: bool) -> bool:
        """Choose a package and all that it needs; leaves everything as it was when that can't be."""
        if package in self._failed:
            return False
        in_the_way = self._in_the_way(package)
        if in_the_way & (self._settled | self._open):
            return False
        before = len(self._changes)
        for other in in_the_way:
            self._drop(other)
        self._add(package)
        if settle:
            self._settled.add(package)
        if self._meet_needs(package):
            return True
        self._failed.add(package)
        self._settled.discard(package)
        self._undo(before)
        return False

    def _meet_needs(self, package: int) -> bool:
        self._open.add(package)
        try:
            settled = package in self._settled
            for need in self._pool.needs(package):
                if not self._meet(need, settle=settled):
                    return False
            for need in self._pool.recommendations(package) if self._recommends else ():
                self._meet(need, settle=False)
            return True
        finally:
            self._open.discard(package)

    def _meet(self, need: Need, *, settle: bool) -> bool:
        """Meet a need by what is chosen, or by the first choice that works."""
        choices = [package for package in need.choices if package not in self._failed]
        only = settle and len(choices) == 1
        if need.met_by.isdisjoint(self._chosen):
            return any(self._choose(package, settle=only) for package in choices)
        if only and choices[0] in self._chosen and choices[0] not in self._settled:
            self._settled.add(choices[0])
            self._meet_needs(choices[0])  # what only it can be met by is settled with it
        return True

    def _in_the_way(self, package: int) -> set[int]:
        return self._opposed[package] | (self._pool.foes(package) & self._chosen.keys())

    def _add(self, package: int) -> None:
        if package not in self._chosen:
            self._put(package)
            self._changes.append((True, package))

    def _drop(self, package: int) -> None:
        self._take(package)
        self._changes.append((False, package))

    def _undo(self, length: int) -> None:
        while len(self._changes) > length:
            added, package = self._changes.pop()
            if added:
                self._take(package)
            else:
                self._put(package)

    def _put(self, package: int) -> None:
        self._chosen[package] = None
        for foe in self._pool.foes(package):
            self._opposed[foe].add(package)

    def _take(self, package: int) -> None:
        del self._chosen[package]
        for foe in self._pool.foes(package):
            self._opposed[foe].discard(package)
