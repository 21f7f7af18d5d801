"""The packages of rpm repositories, as rpm relates them: files, rich dependencies, packages that obsolete others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import solv

from image_composer.repository.pool import Barred, PackageFacts, PackagePool
from image_composer.repository.sources import RepositorySource

BEFORE_MARKER = -1
"""libsolv's way to ask for the requirements without those that scriptlets have."""

SOURCE_PACKAGE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+)\.(?:no)?src\.rpm")


class RpmPool(PackagePool):
    """The packages of rpm repositories.

    Args:
        architecture: architecture as rpm names it; packages of that one and of `noarch` can be had.
    """

    def __init__(self, architecture: str) -> None:
        super().__init__(architecture, solv.Pool.DISTTYPE_RPM)
        self._architectures = {architecture, "noarch"}
        self._modular: set[str] = set()
        self._providers: dict[int, frozenset[int]] = {}

    def add(self, source: RepositorySource, file: Path, *, modular: bool = False) -> None:
        """Add an index in libsolv's form; of repositories with equal priority the one added first is preferred.

        Args:
            source: the repository.
            file: the index.
            modular: whether some of the packages belong to modules.

        Raises:
            StoreError: STORE_FAILED, the file can't be read.
        """
        super().add(source, file)
        if modular:
            self._modular.add(source.id)

    def providers(self, name: str) -> list[int]:
        """Give the candidates of other names that provide a name, by name."""
        number = self.solv.str2id(name, False)
        found = self.solv.whatprovides(number) if number else []
        others = {package.name: package.id for package in found if self._candidate(package.nameid) == package.id}
        return [package for other, package in sorted(others.items()) if other != name]

    def replacing(self, package: int) -> list[int]:
        """Give the packages that obsolete a package, as dnf takes them when it is asked for the obsolete one.

        A repository of lower priority has no say in what becomes of the packages of a higher one.
        """
        rank = self.source_of(package).priority
        found = [other for other in self._obsoleting[package] if self.source_of(other).priority >= rank]
        return sorted(found, key=lambda other: (-self.source_of(other).priority, self.name(other)))

    def meeting_needs(self, package: int) -> frozenset[int]:
        """Give all packages that meet something that a package requires, or some part of a rich dependency."""
        return self._meeting(self.requirements(package))

    def meeting_early_needs(self, package: int) -> frozenset[int]:
        """Give those of them that its scriptlets need."""
        return self._meeting(self._at(package).lookup_idarray(solv.SOLVABLE_REQUIRES, solv.SOLVABLE_PREREQMARKER))

    def requirements(self, package: int) -> Sequence[int]:
        """Give what a package requires, scriptlets and all, as libsolv's numbers."""
        at = self._at(package)
        return [
            *at.lookup_idarray(solv.SOLVABLE_REQUIRES, BEFORE_MARKER),
            *at.lookup_idarray(solv.SOLVABLE_REQUIRES, solv.SOLVABLE_PREREQMARKER),
        ]

    def recommendations(self, package: int) -> Sequence[int]:
        """Give what a package recommends, as libsolv's numbers."""
        return list(self._at(package).lookup_idarray(solv.SOLVABLE_RECOMMENDS))

    def meeting(self, need: int) -> frozenset[int]:
        """Give all packages that meet a need, or any part of a rich one."""
        found = self._providers.get(need)
        if found is None:
            found = frozenset(package.id for package in self.solv.whatprovides(need))
            self._providers[need] = found
        return found

    def spellings(self, package: int) -> tuple[str, ...]:
        """Give a version with and without its epoch and its release: both are often left out."""
        full = self.version(package)
        plain = full.partition(":")[2] or full
        return tuple(dict.fromkeys((full, plain, full.rpartition("-")[0], plain.rpartition("-")[0])))

    def subject(self, need: str) -> str:
        """Give the name that a need such as `b >= 2` is about; empty for a rich dependency."""
        return "" if need.startswith("(") else need.partition(" ")[0]

    def facts(self, package: int) -> PackageFacts:
        """Give what the lock says about a package."""
        at = self._at(package)
        source = SOURCE_PACKAGE.fullmatch(at.lookup_sourcepkg() or "")
        return PackageFacts(
            name=at.name,
            version=at.evr,
            architecture=at.arch,
            filename=unquote(at.lookup_location()[0]).removeprefix("./"),
            size=at.lookup_num(solv.SOLVABLE_DOWNLOADSIZE),
            sha256=at.lookup_checksum(solv.SOLVABLE_CHECKSUM).hex(),
            installed_size=at.lookup_num(solv.SOLVABLE_INSTALLSIZE),
            source=source["name"] if source else at.name,
            source_version=source["version"] if source else at.evr,
            essential=False,
            repository=self.source_of(package),
        )

    def _reset(self) -> None:
        super()._reset()
        self._providers.clear()
        self.__dict__.pop("_obsoleting", None)

    def _find_unusable(self) -> Iterator[tuple[int, Barred]]:
        """Find packages for other architectures, sources among them, and those of modules.

        Which packages of a module may be installed depends on streams that somebody enables, of which we know nothing.
        """
        for package in self.solv.solvables_iter():
            if package.arch not in self._architectures:
                yield package.id, Barred.FOREIGN
            elif self._modular and package.repo.name in self._modular and _of_module(package.evr):
                yield package.id, Barred.OF_MODULE

    def _meeting(self, needs: Sequence[int]) -> frozenset[int]:
        return frozenset[int]().union(*map(self.meeting, needs))

    @cached_property
    def _obsoleting(self) -> defaultdict[int, list[int]]:
        """By package: the candidates of other names that obsolete it."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for package in self.solv.solvables_iter():
            obsolete = package.lookup_deparray(solv.SOLVABLE_OBSOLETES)
            if not obsolete or self._candidate(package.nameid) != package.id:
                continue
            for old in self._obsolete(package, obsolete):
                found[old].append(package.id)
        return found

    def _obsolete(self, package: Any, obsolete: Sequence[Any]) -> set[int]:
        """Give the packages that one obsoletes: by their name only, whatever else they provide."""
        return {
            old.id
            for dep in obsolete
            for old in self.solv.whatprovides(dep.id)
            if old.nameid != package.nameid and old.name == self.subject(str(dep))
        }


def _of_module(version: str) -> bool:
    return ".module" in version.rpartition("-")[2]
