"""Pools of packages that only a few lines of text know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.repository.deb.pool import DebPool
from image_composer.repository.deb.solvfile import write_solv_file
from image_composer.repository.query import PackageQuery
from image_composer.repository.solver import solve
from image_composer.repository.sources import DebSource
from support.debs import index, paragraph


@dataclass(frozen=True)
class Listed:
    """A repository by the paragraphs of its packages."""

    paragraphs: Sequence[str]
    id: str = "main"
    priority: int = 500
    packages: tuple[str, ...] = ()


def listed(*lines: str) -> list[str]:
    """Give paragraphs from lines such as `a 1.0; Depends: b | c; Provides: d`."""
    found = []
    for line in lines:
        head, *fields = line.split("; ")
        name, _, version = head.partition(" ")
        given = {key.lower().replace("-", "_"): value for key, value in (field.split(": ", 1) for field in fields)}
        found.append(paragraph(name, version or "1", **given))
    return found


def pool_of(folder: Path, *repositories: Listed) -> DebPool:
    """Give a pool, not yet prepared."""
    pool = DebPool("amd64")
    for number, repository in enumerate(repositories):
        file = folder / f"{number}.solv"
        write_solv_file(index(*repository.paragraphs), file, "amd64", repository.id)
        pool.add(
            DebSource(
                id=repository.id,
                url=f"https://{repository.id}.example.org",
                suite="stable",
                components=("main",),
                architecture="amd64",
                keys=(),
                priority=repository.priority,
                packages=repository.packages,
            ),
            file,
        )
    return pool


def solved(folder: Path, query: PackageQuery, *repositories: Listed) -> list[str]:
    """Give what is installed, each as `name version`."""
    pool = pool_of(folder, *repositories)
    return [f"{pool.name(package)} {pool.version(package)}" for package in solve(pool, query).packages]
