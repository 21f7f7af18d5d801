"""All packages that can be had, with the questions that are asked about them.

The one place that reads libsolv's pool. Packages are numbers here and in the modules around it: a pool has tens of
thousands, and few of them are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import solv

from image_composer.errors import StoreError
from image_composer.repository.solvfile import ESSENTIAL, MENTION, PRIORITY, SOURCE, SOURCE_VERSION
from image_composer.repository.sources import RepositorySource

RELATIONS: Mapping[str, int] = {
    ">=": solv.REL_GT | solv.REL_EQ,
    "<=": solv.REL_LT | solv.REL_EQ,
    "=": solv.REL_EQ,
    ">>": solv.REL_GT,
    "<<": solv.REL_LT,
    ">": solv.REL_GT,
    "<": solv.REL_LT,
}
"""Version relations as libsolv writes them."""


class Barred(Enum):
    """Why a package that a repository has is not to be had."""

    EXCLUDED = "excluded"
    OUTRANKED = "outranked"
    """A repository of higher priority has the name."""

    NOT_TAKEN = "not taken"
    """Only other names are taken from its repository."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a package depends on or recommends."""

    text: str
    """As its repository says it, for example `debconf >= 0.5 | debconf-2.0`."""

    required: bool
    choices: tuple[int, ...]
    """Candidates that would meet it, in the order in which apt would try them."""

    met_by: frozenset[int]
    """All packages that meet it, candidates or not."""


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


class PackagePool:
    """The packages of several repositories; `add` them, `prepare`, then ask.

    Args:
        architecture: architecture as Debian names it.
    """

    def __init__(self, architecture: str) -> None:
        self.solv = solv.Pool()
        self.solv.setdisttype(solv.Pool.DISTTYPE_DEB)
        self.solv.setarch(architecture)
        self.barred: Mapping[int, Barred] = {}
        self._sources: dict[int, RepositorySource] = {}
        self._selected: dict[str, int] = {}
        self._candidates: dict[int, int | None] = {}
        self._alternatives: dict[int, tuple[tuple[int, ...], frozenset[int]]] = {}
        self._needs: dict[tuple[int, bool], Sequence[Need]] = {}
        self._foes: dict[int, frozenset[int]] = {}
        self._key = {key: self.solv.str2id(key) for key in (SOURCE, SOURCE_VERSION, ESSENTIAL, PRIORITY, MENTION)}

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
        """Bar what is not to be had, and make the rest ready for questions.

        Args:
            excluded: names that must not be installed.
            pinned: names asked for in a certain version: priorities don't count for them.
        """
        self.barred = dict(self._find_barred(frozenset(excluded), frozenset(pinned)))
        if self.barred:
            self.solv.set_disabled_list(list(self.barred))
        self.solv.addfileprovides()
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

    def providers(self, name: str) -> list[int]:
        """Give the candidates of other names that provide a name, in the order in which apt would try them."""
        number = self.solv.str2id(name, False)
        found = self._in_order(number, number) if number else []
        return [package for package in found if self.name(package) != name]

    def essential_names(self) -> list[str]:
        """Give the names, sorted, whose candidate no installation may lack."""
        marked = self._marked_essential()
        return sorted({self.name(package) for package in marked if self.candidate(self.name(package)) == package})

    def excluded_essential_names(self) -> list[str]:
        """Give the names, sorted, that were excluded although no installation may lack them."""
        marked = self._marked_essential()
        return sorted({self.name(package) for package in marked if self.barred.get(package) is Barred.EXCLUDED})

    def needs(self, package: int, *, recommends: bool) -> Sequence[Need]:
        """Give what a package depends on, and what it recommends if that counts, in apt's order."""
        found = self._needs.get((package, recommends))
        if found is None:
            at = self._at(package)
            required = [  # 1 and -1: libsolv's markers for Pre-Depends and Depends
                *at.lookup_idarray(solv.SOLVABLE_REQUIRES, 1),
                *at.lookup_idarray(solv.SOLVABLE_REQUIRES, -1),
            ]
            weak = at.lookup_idarray(solv.SOLVABLE_RECOMMENDS) if recommends else []
            found = [self._need(dep, required=True) for dep in required]
            found += [self._need(dep, required=False) for dep in weak]
            self._needs[package, recommends] = found
        return found

    def suggestions(self, package: int) -> Sequence[Need]:
        """Give what a package suggests."""
        return [self._need(dep, required=False) for dep in self._at(package).lookup_idarray(solv.SOLVABLE_SUGGESTS)]

    def foes(self, package: int) -> frozenset[int]:
        """Give the packages that a package can't be installed with, as far as it says so itself."""
        found = self._foes.get(package)
        if found is None:
            at = self._at(package)
            found = frozenset(
                foe.id
                for dep in at.lookup_idarray(solv.SOLVABLE_CONFLICTS)
                for foe in self.solv.whatprovides(dep)
                if foe.nameid != at.nameid
            )
            self._foes[package] = found
        return found

    def facts(self, package: int) -> PackageFacts:
        """Give what the lock says about a package."""
        at = self._at(package)
        checksum = at.lookup_checksum(solv.SOLVABLE_CHECKSUM)
        assert checksum.typestr() == "sha256", "solvfile.py keeps other digests out"
        return PackageFacts(
            name=at.name,
            version=at.evr,
            architecture=at.arch,
            filename=at.lookup_location()[0].removeprefix("./"),
            size=at.lookup_num(solv.SOLVABLE_DOWNLOADSIZE),
            sha256=checksum.hex(),
            installed_size=at.lookup_num(solv.SOLVABLE_INSTALLSIZE),
            source=at.lookup_str(self._key[SOURCE]) or at.name,
            source_version=at.lookup_str(self._key[SOURCE_VERSION]) or at.evr,
            essential=at.lookup_void(self._key[ESSENTIAL]),
            repository=self.source_of(package),
        )

    def _at(self, package: int) -> Any:
        return self.solv.id2solvable(package)

    def _find_barred(self, excluded: frozenset[str], pinned: frozenset[str]) -> Iterator[tuple[int, Barred]]:
        """Find what is not to be had; looks at every package only where a priority or a pattern asks for it."""
        ranked = len({source.priority for source in self._sources.values()}) > 1
        picky = any(source.packages for source in self._sources.values())
        taken: list[tuple[int, str, int]] = []
        highest: dict[str, int] = {}
        for package in self.solv.solvables_iter() if excluded or ranked or picky else ():
            name = package.name
            source = self._sources[package.repo.id]
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

    def _marked_essential(self) -> set[int]:
        key = self._key[ESSENTIAL]
        return {match.solvid for repo in self.solv.repos for match in repo.Dataiterator(key)}

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

    def _need(self, dep: int, *, required: bool) -> Need:
        text = self.solv.dep2str(dep)
        if dep not in self._alternatives:
            choices: list[int] = []
            for alternative in text.split(" | "):
                choices += self._in_order(*self._relation(alternative))
            met_by = frozenset(package.id for package in self.solv.whatprovides(dep))
            self._alternatives[dep] = (tuple(dict.fromkeys(choices)), met_by)
        return Need(text, required, *self._alternatives[dep])

    def _relation(self, text: str) -> tuple[int, int]:
        """Give the name that a single dependency is about and the dependency itself, as libsolv's ids."""
        match = re.fullmatch(r"(\S+?)(:any)?(?: (\S+) (\S+))?", text)
        assert match is not None, text
        name = dep = self.solv.str2id(match[1])
        if match[2]:
            dep = self.solv.rel2id(dep, solv.ARCH_ANY, solv.REL_MULTIARCH)
        if match[3]:
            dep = self.solv.rel2id(dep, self.solv.str2id(match[4]), RELATIONS[match[3]])
        return name, dep

    def _in_order(self, name: int, dep: int) -> list[int]:
        """Give the candidates that satisfy a dependency, the one that apt would try first coming first.

        That is the package of that very name, then Essential packages, then by Priority; what is equal in all of this
        goes by the order of names in apt's own cache, the last one mentioned first.
        """
        found = [package for package in self.solv.whatprovides(dep) if self._candidate(package.nameid) == package.id]
        found.sort(
            key=lambda package: (
                package.nameid != name,
                not package.lookup_void(self._key[ESSENTIAL]),
                package.lookup_num(self._key[PRIORITY]),
                -package.lookup_num(self._key[MENTION]),
            )
        )
        return [package.id for package in found]


def _newer_first(one: Any, other: Any) -> int:
    return int(other.evrcmp(one))
