"""The lock file: exactly which packages an image is made of.

It can be committed, compared and given back to a build. Order and form are stable, so that a diff shows what changed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from image_composer.digest import json_sha256
from image_composer.spec.base import Digest, PackageName, SpecModel
from image_composer.spec.image import Target


class LockedRepository(SpecModel):
    """The state of one repository that packages were taken from."""

    id: str
    url: str
    """Base URL that was used."""

    suite: str
    components: list[str]
    release_digest: Digest
    """SHA-256 of the verified InRelease file, or of Release when the signature is detached."""

    release_time: int
    """When the repository was published, in seconds since 1970."""

    signed_by: list[str]
    """Fingerprints of the keys whose valid signature was found."""


class LockedPackage(SpecModel):
    """One package, pinned by its digest."""

    name: PackageName
    version: str
    architecture: str
    url: str
    """Where it was to be had; `repository` and the digest identify it, this only helps to find it."""

    sha256: Digest
    size: int = Field(ge=0)
    """Bytes of the package file."""

    installed_size: int = Field(ge=0)
    """Bytes that it needs once unpacked, as the package says."""

    repository: str
    """Id of the repository it comes from."""

    source: str
    """Name of the source package."""

    source_version: str
    essential: bool = False
    requested: bool = False
    """Whether the spec or the provider asked for it, rather than another package."""

    depends: list[str] = Field(default_factory=list)
    """Names of packages of this lock that satisfy its dependencies, sorted."""


class Lock(SpecModel):
    """All packages of an image, sorted by name."""

    lock_version: Literal[1] = 1
    target: Target
    request_digest: Digest
    """Digest of everything in the spec and the manifest that decides about packages."""

    repositories: list[LockedRepository]
    packages: list[LockedPackage]

    def content_digest(self) -> str:
        """Give the digest of what is installed: the same wherever the packages were downloaded from."""
        return json_sha256(
            [[package.name, package.version, package.architecture, package.sha256] for package in self.packages]
        )
