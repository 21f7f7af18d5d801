"""All packages that can be had, with the questions that are asked about them.

Packages are numbers here and in the modules around it, the ones that libsolv gives them: a pool has tens of thousands,
and few of them are looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import solv

from image_composer.errors import StoreError
from image_composer.repository.relations import Dependency, Relation, parse_dependencies
from image_composer.repository.solvfile import (
    DEPENDS,
    ESSENTIAL,
    KEYS,
    MENTION,
    PRE_DEPENDS,
    PRIORITY,
    RECOMMENDS,
    SOURCE,
    SOURCE_VERSION,
    SUGGESTS,
)
from image_composer.repository.sources import RepositorySource

OPERATORS: Mapping[str, int] = {
    ">=": solv.REL_GT | solv.REL_EQ,
    "<=": solv.REL_LT | solv.REL_EQ,
    "=": solv.REL_EQ,
    ">>": solv.REL_GT,
    "<<": solv.REL_LT,
    ">": solv.REL_GT,
    "<": solv.REL_LT,
}
"""Version operators in libsolv's terms; it takes the deprecated `<` and `>` for strict, and so do we."""


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
    """As its repository says it, for example `debconf (>= 0.5) | debconf-2.0`."""

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
        self._needs: dict[tuple[int, str], Sequence[Need]] = {}
        self._known_needs: dict[str, Need] = {}  # by text: most are shared by many packages
        self._foes: dict[int, frozenset[int]] = {}
        self._key = {key: self.solv.str2id(key) for key in KEYS}

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

    def needs(self, package: int) -> Sequence[Need]:
        """Give what a package depends on, in the order in which apt looks at it."""
        return self._read_needs(package, DEPENDS)

    def early_needs(self, package: int) -> Sequence[Need]:
        """Give what must be configured before a package is unpacked, which `needs` holds too."""
        return self._read_needs(package, PRE_DEPENDS)

    def recommendations(self, package: int) -> Sequence[Need]:
        """Give what a package recommends."""
        return self._read_needs(package, RECOMMENDS)

    def suggestions(self, package: int) -> Sequence[Need]:
        """Give what a package suggests."""
        return self._read_needs(package, SUGGESTS)

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

    def _read_needs(self, package: int, field: str) -> Sequence[Need]:
        if (package, field) not in self._needs:
            text = self._at(package).lookup_str(self._key[field]) or ""
            self._needs[package, field] = [self._need(dependency) for dependency in parse_dependencies(text)]
        return self._needs[package, field]

    def _need(self, dependency: Dependency) -> Need:
        found = self._known_needs.get(dependency.text)
        if found is None:
            choices: dict[int, None] = {}
            met_by: set[int] = set()
            for relation in dependency.alternatives:
                name = self.solv.str2id(relation.name)
                dep = self._dep(relation, name)
                choices.update(dict.fromkeys(self._in_order(name, dep)))
                met_by.update(package.id for package in self.solv.whatprovides(dep))
            found = Need(dependency.text, tuple(choices), frozenset(met_by))
            self._known_needs[dependency.text] = found
        return found

    def _dep(self, relation: Relation, name: int) -> int:
        dep = name
        if relation.any_architecture:
            dep = self.solv.rel2id(dep, solv.ARCH_ANY, solv.REL_MULTIARCH)
        if relation.operator:
            dep = self.solv.rel2id(dep, self.solv.str2id(relation.version), OPERATORS[relation.operator])
        return int(dep)

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
