"""The lock file: exactly which packages an image is made of.

It can be committed, compared and given back to a build. Order and form are stable, so that a diff shows what changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from image_composer.digest import json_sha256, pretty_json
from image_composer.errors import LockError
from image_composer.spec.base import Digest, PackageName, PackageVersion, SpecModel, Url
from image_composer.spec.image import Target

VERSION = 1
"""Version of the lock's form that is written, and the only one that is read."""

SHOWN = 10
"""How many faults of a lock a message lists."""


class LockedRepository(SpecModel):
    """The state of one repository that packages were taken from."""

    id: str
    url: Url
    """Base URL that was used."""

    suite: str | None = None
    """deb: the suite that was used."""

    components: list[str] = Field(default_factory=list)
    """deb: the components that were used."""

    release_digest: Digest
    """SHA-256 of what vouches for all else: InRelease, or Release when its signature is detached; repomd.xml."""

    release_time: int
    """When the repository was published, in seconds since 1970."""

    signed_by: list[str]
    """Fingerprints of the keys whose valid signature on that file was found; none where only packages are signed."""


class LockedPackage(SpecModel):
    """One package, pinned by its digest."""

    name: PackageName
    version: PackageVersion
    architecture: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    """Architecture as the distribution names it, or `all` (deb) or `noarch` (rpm)."""

    url: Url
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
    """Its version, which can differ from the package's."""

    essential: bool = False
    requested: bool = False
    """Whether the spec or the provider asked for it, rather than another package."""

    depends: list[str] = Field(default_factory=list)
    """Names of packages of this lock that satisfy its dependencies, sorted."""

    pre_depends: list[str] = Field(default_factory=list)
    """Those of them that must be configured before this package is unpacked."""


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


def lock_text(lock: Lock) -> str:
    """Give a lock as it is written to a file: the same lock always gives the same text."""
    return pretty_json(lock.model_dump(mode="json", by_alias=True))


def read_lock(path: Path) -> Lock:
    """Read a lock file that somebody hands over, and hold it against itself.

    Raises:
        LockError: LOCK_UNREADABLE, LOCK_VERSION_UNSUPPORTED, LOCK_INVALID.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise LockError("LOCK_UNREADABLE", f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise LockError("LOCK_INVALID", f"{path} is not a lock file: {error}", hint=WRITE_HINT) from error
    _check_version(document, path)
    try:
        lock = Lock.model_validate(document)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise _invalid(path, faults) from error
    faults = list(_contradictions(lock))
    if faults:
        raise _invalid(path, faults)
    packages = sorted(lock.packages, key=lambda package: package.name)
    return lock.model_copy(update={"packages": packages})


def check_lock(lock: Lock, target: Target, request_digest: str) -> None:
    """Hold a lock against what is to be built.

    Args:
        lock: the lock that was given.
        target: distribution, release and architecture of the document.
        request_digest: digest of everything in the document and the manifest that decides about packages.

    Raises:
        LockError: LOCK_MISMATCH, with what differs.
    """
    pairs = [(name, getattr(lock.target, name), getattr(target, name)) for name in Target.model_fields]
    differing = [f"it is for {name} {locked}, not {asked}" for name, locked, asked in pairs if locked != asked]
    if not differing and lock.request_digest != request_digest:
        differing.append("the packages, repositories or exclusions that are asked for have changed since it was made")
    if differing:
        raise LockError(
            "LOCK_MISMATCH",
            f"the lock does not belong to this document: {'; '.join(differing)}",
            hint="make the lock anew with 'image-composer lock', or build without it",
        )


WRITE_HINT = "'image-composer lock' writes one"


def _check_version(document: Any, path: Path) -> None:
    if not isinstance(document, dict) or "lockVersion" not in document:
        raise LockError("LOCK_INVALID", f"{path} is not a lock file: it has no lockVersion", hint=WRITE_HINT)
    if document["lockVersion"] != VERSION:
        raise LockError(
            "LOCK_VERSION_UNSUPPORTED",
            f"{path} has lock version {document['lockVersion']!r}, and this composer reads version {VERSION}",
            hint="use the composer that wrote it, or make the lock anew with 'image-composer lock'",
        )


def _contradictions(lock: Lock) -> Iterator[str]:
    """Give what can't be true of one lock, though each of its parts may be."""
    for kind, names in (
        ("package", [package.name for package in lock.packages]),
        ("repository", [repository.id for repository in lock.repositories]),
    ):
        for name, count in Counter(names).items():
            if count > 1:
                yield f"the {kind} {name} is there {count} times"
    repositories = {repository.id for repository in lock.repositories}
    known = {package.name for package in lock.packages}
    for package in lock.packages:
        if package.repository not in repositories:
            yield f"{package.name} is from the repository {package.repository}, which is not there"
        for missing in sorted(set(package.depends) - known):
            yield f"{package.name} depends on {missing}, which is not there"


def _invalid(path: Path, faults: list[str]) -> LockError:
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    lines = "\n".join(f"  {fault}" for fault in [*faults[:SHOWN], *more])
    return LockError("LOCK_INVALID", f"{path} is not a lock that can be used:\n{lines}", hint=WRITE_HINT)
