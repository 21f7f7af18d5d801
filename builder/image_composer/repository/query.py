"""What is asked of the solver."""

from __future__ import annotations

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
