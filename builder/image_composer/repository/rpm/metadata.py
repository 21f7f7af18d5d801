"""What an rpm repository says about itself, fetched and verified: its repomd.xml and the files that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.repository.loaded import Means
from image_composer.repository.openpgp import verify_detached
from image_composer.repository.rpm.repomd import NAME, ListedFile, Repomd, parse_repomd
from image_composer.repository.sources import RpmSource
from image_composer.repository.unpack import LARGEST_INDEX, unpacked
from image_composer.spec.image import Signed
from image_composer.store.content import Wanted

REPOMD_LIMIT = 4 * 1024 * 1024
"""Bytes a repomd.xml may have; those of large distributions have 10 KiB."""

SIGNATURE_LIMIT = 1024 * 1024
"""Bytes a signature may have; usual ones have 1 KiB."""


@dataclass(frozen=True, slots=True)
class VerifiedRepository:
    """A repository whose repomd.xml is what its policy asks for."""

    source: RpmSource
    repomd: Repomd
    digest: str
    """SHA-256 of repomd.xml."""

    signed_by: Sequence[str]
    """Fingerprints of the keys whose valid signature was found; none where only packages are signed."""


def verify_repository(source: RpmSource, means: Means) -> VerifiedRepository:
    """Fetch a repository's repomd.xml and verify it as far as its policy says.

    Raises:
        RepositoryError: it can't be had, is not signed by one of the source's keys, or is broken.
    """
    document = _read(source, means, NAME, REPOMD_LIMIT)
    if document is None:
        raise RepositoryError(
            "REPO_NOT_FOUND",
            f"repository {source.id}: there is no {NAME} at {source.url}",
            hint="check the repository's URL: it is the folder that holds repodata/",
        )
    signed_by: Sequence[str] = ()
    if source.signed is Signed.PACKAGES:
        means.reporter.info(f"repository {source.id}: its metadata is not signed, only its packages are")
    else:
        signed_by = _signed_by(source, means, document)
    return VerifiedRepository(source, parse_repomd(document, source.id), bytes_sha256(document), signed_by)


def read_file(repository: VerifiedRepository, file: ListedFile, means: Means) -> bytes:
    """Give a file of the metadata, verified and unpacked.

    Raises:
        RepositoryError: it can't be had, is not what repomd.xml vouches for, or does not unpack to that.
        StoreError: the cache can't be used.
        ToolError: there is no zstd.
    """
    source = repository.source
    what = f"repository {source.id}: {file.path}"
    wanted = Wanted(file.sha256, file.size, (source.file_url(file.path),), file.path, source.id)
    fetched = means.store.obtain(wanted, means.downloader)
    return unpack(file, fetched, means, what)


def unpack(file: ListedFile, fetched: Path, means: Means, what: str) -> bytes:
    """Give what a file of the metadata unpacks to, which is what repomd.xml says as far as it says so.

    Raises:
        RepositoryError: REPO_MALFORMED, REPO_TOO_LARGE, REPO_DIGEST_MISMATCH.
        ToolError: there is no zstd.
    """
    limit = min(file.plain.size, LARGEST_INDEX) if file.plain else LARGEST_INDEX
    text = unpacked(fetched, file.suffix, limit, what, means.runner)
    if file.plain and bytes_sha256(text) != file.plain.sha256:
        raise RepositoryError("REPO_DIGEST_MISMATCH", f"{what} does not unpack to what repomd.xml lists")
    return text


def _signed_by(source: RpmSource, means: Means, document: bytes) -> Sequence[str]:
    signature = _read(source, means, f"{NAME}.asc", SIGNATURE_LIMIT)
    if signature is None:
        raise RepositoryError(
            "REPO_UNSIGNED",
            f"repository {source.id}: {NAME} carries no signature",
            hint=UNSIGNED_HINT,
        )
    signed = verify_detached(
        document,
        signature,
        source.keys,
        runner=means.runner,
        repository=source.id,
        name=NAME,
        at_signing=True,  # vendors' keys expire before they sign anew
        clock=means.now.timestamp,
    )
    return signed.fingerprints


UNSIGNED_HINT = (
    "sign it, into repodata/repomd.xml.asc; or, if its packages are signed, say so with the repository's field signed"
)


def _read(source: RpmSource, means: Means, path: str, limit: int) -> bytes | None:
    """Give a file whose digest is not known beforehand, or None when the repository doesn't have it."""
    try:
        return means.downloader.read(source.file_url(path), limit=limit, repository=source.id)
    except RepositoryError as error:
        if error.code == "REPO_NOT_FOUND":
            return None
        raise
