"""What is asked of the solver."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackageQuery:
    """The packages that an image shall have; the closure of Essential packages comes by itself."""

    names: tuple[str, ...]
    """Packages as `name` or `name=version`. Where packages are alternatives to each other, the earlier one's need
    decides, as with apt."""

    exclude: tuple[str, ...] = ()
    """Names of packages that must not be there."""

    install_recommends: bool = False
    """Whether recommended packages come too, as far as they can."""

    versions: tuple[tuple[str, str], ...] = ()
    """Packages asked for whose version must match a shell pattern, as (name, pattern); the newest that does is
    taken."""

    @property
    def wanted(self) -> Mapping[str, Sequence[str]]:
        """The names asked for with the patterns that their versions must match, in order."""
        wanted: dict[str, list[str]] = {}
        for text in self.names:
            name, equals, version = text.partition("=")
            wanted.setdefault(name, []).extend([glob.escape(version)] if equals else [])
        for name, pattern in self.versions:
            wanted.setdefault(name, []).append(pattern)
        return wanted

    @property
    def pinned(self) -> Sequence[str]:
        """The names asked for in certain versions."""
        return [name for name, patterns in self.wanted.items() if patterns]
