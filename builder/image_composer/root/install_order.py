"""In which order packages are unpacked and configured. Touches nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from image_composer.repository.lock import LockedPackage


@dataclass(frozen=True, slots=True)
class Round:
    """Packages that are unpacked together."""

    packages: list[LockedPackage]
    configured_before: list[str]
    """Names of packages that must be configured before these are unpacked."""


def installation_rounds(packages: Sequence[LockedPackage], scripts: Mapping[str, Collection[str]]) -> list[Round]:
    """Give the packages in the rounds that they are unpacked in, the essential ones first.

    A package may need others configured before it is unpacked (Pre-Depends, Debian policy 7.2). Only its preinst
    script could tell the difference, and only for packages that have something to configure, so that one round for
    nearly everything is the rule.

    Args:
        packages: all of them.
        scripts: names of each package's maintainer scripts.
    """
    order = installation_order(packages)
    by_name = {package.name: package for package in packages}
    first = bootstrap(packages)
    inert = first | {name for name in by_name if "postinst" not in scripts[name]}
    rounds = [Round([package for package in order if package.name in first], [])]
    waiting = [package for package in order if package.name not in first]
    configured: set[str] = set()
    while waiting:
        needs = {
            package.name: closure(by_name, package.pre_depends) if "preinst" in scripts[package.name] else frozenset()
            for package in waiting
        }
        unpacked_later = {package.name for package in waiting}
        # Packages that need each other first can't be helped: they come together.
        now = [package for package in waiting if not (needs[package.name] - inert) & unpacked_later] or waiting
        before = {name for package in now if needs[package.name] - inert for name in needs[package.name]}
        before = (before | first if before else before) - configured - {package.name for package in now}
        rounds.append(Round(now, [package.name for package in order if package.name in before]))
        configured |= before
        waiting = [package for package in waiting if package not in now]
    return rounds


def closure(packages: Mapping[str, LockedPackage], names: Iterable[str]) -> frozenset[str]:
    """Give the names with all that they depend on."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += packages[name].depends
    return frozenset(found)


def bootstrap(packages: Sequence[LockedPackage]) -> frozenset[str]:
    """Give the names of the essential packages with all that they depend on."""
    by_name = {package.name: package for package in packages}
    return closure(by_name, [package.name for package in packages if package.essential])


def installation_order(packages: Sequence[LockedPackage]) -> list[LockedPackage]:
    """Give the packages with each after what it depends on, as far as there are no circles; by name otherwise."""
    by_name = {package.name: package for package in packages}
    placed: dict[str, LockedPackage] = {}
    for start in sorted(by_name):
        stack = [(start, iter(by_name[start].depends))]
        open_names = {start}
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in placed and other not in open_names), None)
            if following is None:
                placed.setdefault(name, by_name[name])
                stack.pop()
            else:
                open_names.add(following)
                stack.append((following, iter(by_name[following].depends)))
    return list(placed.values())


def balanced(packages: Sequence[LockedPackage], workers: int) -> list[list[LockedPackage]]:
    """Share packages out so that each worker has about the same to unpack: the largest first to the least loaded."""
    shares: list[list[LockedPackage]] = [[] for _ in range(max(1, min(workers, len(packages))))]
    loads = [0] * len(shares)
    for package in sorted(packages, key=lambda package: (-package.installed_size, package.name)):
        least = loads.index(min(loads))
        shares[least].append(package)
        loads[least] += package.installed_size + package.size
    return shares


def batches(packages: Sequence[LockedPackage], size: int) -> list[list[LockedPackage]]:
    """Cut a list into pieces of a size."""
    return [list(packages[start : start + size]) for start in range(0, len(packages), size)]
