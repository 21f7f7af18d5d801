"""Where packages may come from: one signed repository as the composer is told to use it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from image_composer.spec.image import Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySource:
    """A repository and what is taken from it; see `DebSource` and `RpmSource`."""

    id: str
    """Name in messages and in the lock."""

    url: str
    """Base URL: a deb repository's folder that holds `dists/`, or a flat one's own; an rpm one's that holds
    `repodata/`."""

    architecture: str
    """Architecture as the distribution names it, for example `amd64`."""

    keys: tuple[bytes, ...]
    """OpenPGP certificates, armoured or binary, any of whose keys may sign the repository."""

    priority: int = 500
    """Higher wins, whatever the versions."""

    packages: tuple[str, ...] = ()
    """Shell patterns of the names that may be taken from here; all when empty."""

    def takes(self, name: str) -> bool:
        """Say whether a package of this name may come from here."""
        return not self.packages or any(fnmatchcase(name, pattern) for pattern in self.packages)


@dataclass(frozen=True, slots=True, kw_only=True)
class DebSource(RepositorySource):
    """A deb repository, whose Release is always signed."""

    suite: str
    """Folder below `dists/`; one that ends with `/` is a flat repository's, relative to `url`."""

    components: tuple[str, ...]
    """Components used, in order of preference; a flat repository has none."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmSource(RepositorySource):
    """An rpm repository."""

    signed: Signed = Signed.METADATA_AND_PACKAGES
    """What must carry a signature by one of the keys."""

    def file_url(self, path: str) -> str:
        """Give the URL of a file of the repository by its path, such as `repodata/repomd.xml`."""
        return f"{self.url.rstrip('/')}/{path}"
