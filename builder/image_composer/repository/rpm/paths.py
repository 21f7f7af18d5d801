"""Whether packages need paths that only filelists.xml knows.

primary.xml lists the files that most dependencies are on. The list of all files is ten times as large, so it is fetched
only when a request can lead to a package that needs another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import solv

from image_composer.repository.rpm.pool import RpmPool

PATH = re.compile(r"(?:^|(?<=[( ]))/[^\s()]+")
"""A path in a dependency, which may be a rich one."""

IN_PRIMARY = re.compile(r"/etc/.*|.*bin/.*|/usr/lib/sendmail")
"""Paths that primary.xml lists, see createrepo_c's cr_is_primary."""


def lacks_paths(pool: RpmPool, names: Iterable[str], *, recommends: bool) -> bool:
    """Say whether something that a request can lead to needs a path that no package of the pool has, as it is loaded.

    Args:
        pool: the packages, prepared.
        names: packages asked for.
        recommends: whether recommended packages are wanted.
    """
    walk = _Walk(pool, recommends=recommends)
    requested = [package for name in names for package in pool.versions(name)]
    walk.go([*requested, *(other for package in requested for other in pool.replacing(package))])
    return walk.lacks


class _Walk:
    """Everything that can be reached, as no choice is made between those that meet a need."""

    def __init__(self, pool: RpmPool, *, recommends: bool) -> None:
        self.lacks = False
        self._pool = pool
        self._recommends = recommends
        self._reached: set[int] = set()
        self._needs: set[int] = set()

    def go(self, packages: Iterable[int]) -> None:
        pending = set(packages)
        while pending and not self.lacks:
            self._reached |= pending
            found = {found for package in pending for found in self._led_to(package)}
            pending = found - self._reached
            if not pending and self._recommends:
                pending = self._supplements() - self._reached

    def _led_to(self, package: int) -> Iterable[int]:
        needs = set(self._pool.requirements(package))
        if self._recommends:
            needs.update(self._pool.recommendations(package))
        for need in needs - self._needs:
            self._needs.add(need)
            text = self._pool.solv.dep2str(need)
            if "/" in text and any(self._unknown(path) for path in PATH.findall(text)):
                self.lacks = True
            yield from self._pool.meeting(need)

    def _unknown(self, path: str) -> bool:
        return not IN_PRIMARY.fullmatch(path) and not self._pool.meeting(self._pool.solv.str2id(path))

    def _supplements(self) -> set[int]:
        """Give the packages that come by themselves with some that were reached."""
        return {
            match.solvid
            for match in self._pool.solv.Dataiterator(solv.SOLVABLE_SUPPLEMENTS)
            if match.solvid not in self._pool.barred and not self._pool.meeting(match.id).isdisjoint(self._reached)
        }
