"""The tables, read: which packages a distribution has, what is in them and how they are related."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("tables")

SHARED = ("libraries", "system", "security", "systemd", "network", "boot")
"""Tables that both distributions have."""


@dataclass(frozen=True)
class File:
    """A file that a package brings and Debian doesn't, or not so."""

    text: str | None = None
    link: str | None = None
    folder: bool = False
    joined: str | None = None
    """Pattern of files of the package whose contents make this one, and which it replaces."""

    mode: int | None = None
    owner: str = "root"
    group: str = "root"
    ghost: bool = False
    """Whether the package owns it without bringing it."""

    plain: bool = False
    """Whether a file below /etc is no configuration."""


@dataclass(frozen=True)
class Attributes:
    """What rpm should say about a file of Debian's instead of what Debian says."""

    mode: int | None = None
    owner: str = "root"
    group: str = "root"
    capabilities: str | None = None


@dataclass(frozen=True)
class Script:
    """A scriptlet or trigger."""

    section: str
    """`post`, `transfiletriggerin`, ..."""

    text: str
    interpreter: str | None = None
    """None for /bin/sh. With an empty text, the program itself is all there is to run."""

    on: str | None = None
    """What a trigger waits for: packages or paths."""


@dataclass(frozen=True)
class Package:
    """One package to make."""

    name: str
    source: str
    """Name of the source package that it says it was built from."""

    debs: tuple[str, ...]
    """Packages of Debian whose files it takes, save those that others take."""

    take: Mapping[str, tuple[str, ...]]
    """Patterns of paths that it takes out of packages of Debian which belong to others; none for the version alone."""

    drop: tuple[str, ...]
    """Patterns of paths that it leaves out."""

    moves: Mapping[str, str]
    """Files that get another path."""

    version: str | None
    """None for the version of the first package of Debian in `debs` or `take`."""

    release: str
    epoch: int | None
    summary: str | None
    url: str | None
    """None for what Debian says."""

    license: str
    noarch: bool
    generated: bool
    """Whether rpm looks into its files for requirements and provides."""

    tags: Mapping[str, tuple[str, ...]]
    """Lines of the spec file by tag: Requires, Requires(post), Provides, ..."""

    files: Mapping[str, File]
    attributes: Mapping[str, Attributes]
    scripts: tuple[Script, ...]


@dataclass(frozen=True)
class Table:
    """A distribution."""

    name: str
    vendor: str
    dist: str
    """End of every release: `.azl3`."""

    repository: str
    """Path of the repository below the archive's address."""

    compression: str
    """Of the metadata: `gz` or `zst`."""

    metadata_signed: bool
    packages: tuple[Package, ...]
    dropped: tuple[str, ...] = field(default_factory=tuple)
    """Patterns of paths that no package takes over from Debian."""

    def package(self, name: str) -> Package:
        """Give one package."""
        return next(package for package in self.packages if package.name == name)

    @property
    def debs(self) -> list[str]:
        """Packages of Debian that all this is made of."""
        return sorted({deb for package in self.packages for deb in (*package.debs, *package.take)})


def read_table(name: str, folder: Path = FOLDER) -> Table:
    """Read the table of one distribution and those that it shares."""
    own = _load(folder / f"{name}.yaml")
    words = {"name": name, "dist": own["dist"], "vendor": own["vendor"], **own.get("words", {})}
    content = {**own["packages"]}
    for shared in SHARED:
        content |= {key: value for key, value in _load(folder / f"{shared}.yaml").items() if key not in own["packages"]}
    return Table(
        name=name,
        vendor=own["vendor"],
        dist=own["dist"],
        repository=own["repository"],
        compression=own["compression"],
        metadata_signed=own["metadataSigned"],
        packages=tuple(_package(key, value, words) for key, value in sorted(content.items()) if value is not None),
        dropped=tuple(_load(folder / "dropped.yaml")),
    )


def _load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def _package(name: str, content: Mapping[str, Any], words: Mapping[str, str]) -> Package:
    known = {"source", "debs", "take", "drop", "moves", "version", "release", "epoch", "summary", "url", "license"}
    known |= {"noarch", "generated", "tags", "files", "attributes", "scripts"}
    assert content.keys() <= known, f"{name}: {sorted(content.keys() - known)}"
    filled: dict[str, Any] = _fill(content, words)
    return Package(
        name=name,
        source=filled.get("source", name),
        debs=tuple(filled.get("debs", ())),
        take={deb: tuple(patterns) for deb, patterns in filled.get("take", {}).items()},
        drop=tuple(filled.get("drop", ())),
        moves=filled.get("moves", {}),
        version=filled.get("version"),
        release=str(filled.get("release", 1)),
        epoch=filled.get("epoch"),
        summary=filled.get("summary"),
        url=filled.get("url"),
        license=filled["license"],
        noarch=filled.get("noarch", False),
        generated=filled.get("generated", True),
        tags={tag: tuple(_texts(values)) for tag, values in filled.get("tags", {}).items()},
        files={path: _file(value) for path, value in filled.get("files", {}).items()},
        attributes={path: _attributes(value) for path, value in filled.get("attributes", {}).items()},
        scripts=tuple(_script(value) for value in filled.get("scripts", ())),
    )


def _fill(content: Any, words: Mapping[str, str]) -> Any:
    """Put the distribution's own words in place of `@word@`."""
    if isinstance(content, str):
        for word, value in words.items():
            content = content.replace(f"@{word}@", value)
        return content
    if isinstance(content, Mapping):
        return {_fill(key, words): _fill(value, words) for key, value in content.items()}
    if isinstance(content, Sequence):
        return [_fill(value, words) for value in content]
    return content


def _texts(values: str | Iterable[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)


def _mode(content: Mapping[str, Any]) -> int | None:
    return int(str(content["mode"]), 8) if "mode" in content else None


def _file(content: str | Mapping[str, Any]) -> File:
    """Read one file: a text alone, or a mapping."""
    if isinstance(content, str):
        return File(text=content)
    return File(
        text=content.get("text"),
        link=content.get("link"),
        folder=content.get("folder", False),
        joined=content.get("joined"),
        mode=_mode(content),
        owner=content.get("owner", "root"),
        group=content.get("group", "root"),
        ghost=content.get("ghost", False),
        plain=content.get("plain", False),
    )


def _attributes(content: Mapping[str, Any]) -> Attributes:
    return Attributes(
        mode=_mode(content),
        owner=content.get("owner", "root"),
        group=content.get("group", "root"),
        capabilities=content.get("capabilities"),
    )


def _script(content: Mapping[str, Any]) -> Script:
    return Script(content["section"], content.get("text", ""), content.get("interpreter"), content.get("on"))
