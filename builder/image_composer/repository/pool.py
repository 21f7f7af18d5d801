"""All packages that can be had, with the questions that are asked about them; what both families have in common.

Packages are numbers here and in the modules around it, the ones that libsolv gives them: a pool has tens of thousands,
and few of them are looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import solv

from image_composer.errors import StoreError
from image_composer.repository.sources import RepositorySource


class Barred(Enum):
    """Why a package that a repository has is not to be had; what tells most first."""

    EXCLUDED = "excluded"
    OUTRANKED = "outranked"
    """A repository of higher priority has the name."""

    NOT_TAKEN = "not taken"
    """Only other names are taken from its repository."""

    OF_MODULE = "of module"
    """rpm: it belongs to a module, whose streams nobody has chosen from."""

    FOREIGN = "foreign"
    """It is for another architecture."""


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What the lock says about a package."""

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    installed_size: int
    source: str
    source_version: str
    essential: bool
    repository: RepositorySource


class PackagePool(ABC):
    """The packages of several repositories; `add` them, `prepare`, then ask.

    Args:
        architecture: architecture as the distribution names it.
        kind: libsolv's name of the family, which decides how versions are compared.
    """

    def __init__(self, architecture: str, kind: int) -> None:
        self.solv = solv.Pool()
        self.solv.setdisttype(kind)
        self.solv.setarch(architecture)
        self.barred: Mapping[int, Barred] = {}
        self._sources: dict[int, RepositorySource] = {}
        self._selected: dict[str, int] = {}
        self._candidates: dict[int, int | None] = {}

    def add(self, source: RepositorySource, file: Path) -> None:
        """Add an index in libsolv's form; of repositories with equal priority the one added first is preferred.

        Raises:
            StoreError: STORE_FAILED, the file can't be read.
        """
        repo = self.solv.add_repo(source.id)
        repo.priority = source.priority
        repo.subpriority = -len(self._sources)
        self._sources[repo.id] = source
        stream = solv.xfopen(str(file))
        if stream is None or not repo.add_solv(stream):
            raise StoreError(
                "STORE_FAILED",
                f"{file}, made from repository {source.id}, can't be read: {self.solv.errstr}",
                hint="clear the cache",
            )

    def prepare(self, excluded: Collection[str], pinned: Collection[str]) -> None:
        """Bar what is not to be had, and make the rest ready for questions; what was done before is forgotten.

        Args:
            excluded: names that must not be installed.
            pinned: names asked for in a certain version: priorities don't count for them.
        """
        self._reset()
        self.barred = dict(self._find_unusable())
        self.barred = {**self.barred, **dict(self._find_barred(frozenset(excluded), frozenset(pinned)))}
        self.solv.addfileprovides()  # to barred packages too, so that they can be told
        if self.barred:
            self.solv.set_disabled_list(list(self.barred))
        self.solv.createwhatprovides()

    def select(self, package: int) -> None:
        """Make a package the candidate of its name, whatever other versions there are; before the first question."""
        self._selected[self.name(package)] = package

    def name(self, package: int) -> str:
        """Give a package's name."""
        return str(self._at(package).name)

    def version(self, package: int) -> str:
        """Give a package's version."""
        return str(self._at(package).evr)

    def source_of(self, package: int) -> RepositorySource:
        """Give the repository that a package comes from."""
        return self._sources[self._at(package).repo.id]

    def names(self) -> set[str]:
        """Give the names of all packages that can be had."""
        return {package.name for package in self.solv.solvables_iter() if package.id not in self.barred}

    def versions(self, name: str) -> list[int]:
        """Give all packages of a name that can be had, the preferred first."""
        number = self.solv.str2id(name, False)
        return self._versions(number) if number else []

    def candidate(self, name: str) -> int | None:
        """Give the package that a name stands for: the preferred one unless another was selected."""
        number = self.solv.str2id(name, False)
        return self._candidate(number) if number else None

    @abstractmethod
    def providers(self, name: str) -> list[int]:
        """Give the candidates of other names that provide a name, the preferred first."""

    def replacing(self, package: int) -> list[int]:  # noqa: ARG002 - not every family knows such packages
        """Give the packages that take a package's place wherever it is asked for, the preferred first."""
        return []

    def essential_names(self) -> list[str]:
        """Give the names, sorted, whose candidate no installation may lack."""
        return []

    def excluded_essential_names(self) -> list[str]:
        """Give the names, sorted, that were excluded although no installation may lack them."""
        return []

    def proposal(self, preferences: Sequence[int], *, recommends: bool) -> Sequence[int] | None:  # noqa: ARG002 - see above
        """Give the set that the family's own package manager would install, where that is not the solver's choice.

        Args:
            preferences: packages asked for, in the order in which they were.
            recommends: whether recommended packages are wanted.
        """
        return None

    @abstractmethod
    def meeting_needs(self, package: int) -> frozenset[int]:
        """Give all packages, to be had or not, that meet something that a package depends on."""

    @abstractmethod
    def meeting_early_needs(self, package: int) -> frozenset[int]:
        """Give those of them that have to be there before the package is installed."""

    def spellings(self, package: int) -> tuple[str, ...]:
        """Give the ways in which people write a package's version, the full one first."""
        return (self.version(package),)

    @abstractmethod
    def subject(self, need: str) -> str:
        """Give the one name that a need is about, as libsolv writes it; empty when it is about several."""

    @abstractmethod
    def facts(self, package: int) -> PackageFacts:
        """Give what the lock says about a package."""

    def _at(self, package: int) -> Any:
        return self.solv.id2solvable(package)

    def _reset(self) -> None:
        self._selected.clear()
        self._candidates.clear()

    def _find_unusable(self) -> Iterable[tuple[int, Barred]]:
        """Find what is not to be had whatever is asked for."""
        return ()

    def _find_barred(self, excluded: frozenset[str], pinned: frozenset[str]) -> Iterator[tuple[int, Barred]]:
        """Find what is not to be had; looks at every package only where a priority or a pattern asks for it."""
        ranked = len({source.priority for source in self._sources.values()}) > 1
        picky = any(source.packages for source in self._sources.values())
        taken: list[tuple[int, str, int]] = []
        highest: dict[str, int] = {}
        for package in self.solv.solvables_iter() if excluded or ranked or picky else ():
            name = package.name
            source = self._sources[package.repo.id]
            if package.id in self.barred:
                continue
            if name in excluded:
                yield package.id, Barred.EXCLUDED
            elif picky and not source.takes(name):
                yield package.id, Barred.NOT_TAKEN
            elif ranked and name not in pinned:
                taken.append((package.id, name, source.priority))
                highest[name] = max(highest.get(name, source.priority), source.priority)
        for number, name, priority in taken:
            if priority < highest[name]:
                yield number, Barred.OUTRANKED

    def _versions(self, name: int) -> list[int]:
        found: list[Any] = [package for package in self.solv.whatprovides(name) if package.nameid == name]
        found.sort(key=cmp_to_key(_newer_first))
        found.sort(key=lambda package: -package.repo.priority)
        return [package.id for package in found]

    def _candidate(self, name: int) -> int | None:
        if name not in self._candidates:
            selected = self._selected.get(self.solv.id2str(name))
            best = [selected] if selected else self._versions(name)
            self._candidates[name] = best[0] if best else None
        return self._candidates[name]


def _newer_first(one: Any, other: Any) -> int:
    return int(other.evrcmp(one))
