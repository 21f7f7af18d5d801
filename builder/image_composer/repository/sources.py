"""Where packages may come from: one signed deb repository as the composer is told to use it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class RepositorySource:
    """A deb repository and what is taken from it."""

    id: str
    """Name in messages and in the lock."""

    url: str
    """Base URL: the folder that holds `dists/`, or a flat repository's own."""

    suite: str
    """Folder below `dists/`; one that ends with `/` is a flat repository's, relative to `url`."""

    components: tuple[str, ...]
    """Components used, in order of preference; a flat repository has none."""

    architecture: str
    """Architecture as Debian names it, for example `amd64`."""

    keys: tuple[bytes, ...]
    """OpenPGP certificates, armoured or binary, any of whose keys may sign the repository."""

    priority: int
    """Higher wins, whatever the versions."""

    packages: tuple[str, ...] = ()
    """Shell patterns of the names that may be taken from here; all when empty."""

    @property
    def flat(self) -> bool:
        """Whether the repository has no `dists/` and no components."""
        return self.suite.endswith("/")

    def release_url(self, path: str) -> str:
        """Give the URL of a file that Release names, or of Release itself."""
        folder = self.suite.strip("/") if self.flat else f"dists/{self.suite}"
        return "/".join(
            part for part in (self.url.rstrip("/"), folder.removeprefix("./"), path) if part not in {"", "."}
        )

    def takes(self, name: str) -> bool:
        """Say whether a package of this name may come from here."""
        return not self.packages or any(fnmatchcase(name, pattern) for pattern in self.packages)
