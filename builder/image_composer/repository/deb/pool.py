"""The packages of deb repositories: what apt looks at, in the order in which it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import solv

from image_composer.repository.deb.preference import Need, preferred
from image_composer.repository.deb.relations import Dependency, Relation, parse_dependencies
from image_composer.repository.deb.solvfile import (
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
from image_composer.repository.pool import Barred, PackageFacts, PackagePool

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


class DebPool(PackagePool):
    """The packages of deb repositories.

    Args:
        architecture: architecture as Debian names it.
    """

    def __init__(self, architecture: str) -> None:
        super().__init__(architecture, solv.Pool.DISTTYPE_DEB)
        self._needs: dict[tuple[int, str], Sequence[Need]] = {}
        self._known_needs: dict[str, Need] = {}  # by text: most are shared by many packages
        self._foes: dict[int, frozenset[int]] = {}
        self._key = {key: self.solv.str2id(key) for key in KEYS}

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

    def proposal(self, preferences: Sequence[int], *, recommends: bool) -> Sequence[int] | None:
        """Give the set that apt would install; see `preferred`."""
        return preferred(self, preferences, recommends=recommends)

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

    def meeting_needs(self, package: int) -> frozenset[int]:
        """Give all packages, to be had or not, that meet something that a package depends on."""
        return frozenset[int]().union(*(need.met_by for need in self.needs(package)))

    def meeting_early_needs(self, package: int) -> frozenset[int]:
        """Give those of them that must be configured before the package is unpacked."""
        return frozenset[int]().union(*(need.met_by for need in self.early_needs(package)))

    def subject(self, need: str) -> str:
        """Give the name that a need such as `b:any >= 2` is about; empty for alternatives."""
        return "" if " | " in need else need.partition(" ")[0].partition(":")[0]

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

    def _marked_essential(self) -> set[int]:
        key = self._key[ESSENTIAL]
        return {match.solvid for repo in self.solv.repos for match in repo.Dataiterator(key)}

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
