"""Packages files in libsolv's own binary form.

Such a file is kept in the store by the digest of the index it comes from. It carries what we need and libsolv leaves
out: its reader of deb indexes skips size, source version, Essential and Priority, its writer sorts dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import solv

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.repository.deb.metadata import VerifiedRepository, obtain_index
from image_composer.repository.deb.packages import IndexEntry, scan_packages
from image_composer.repository.deb.release import PackageIndex
from image_composer.repository.solvform import libsolv_version, memory_file, write_repo
from image_composer.repository.unpack import LARGEST_INDEX, unpacked
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader

FORM = 3
"""Counted up whenever what these files carry changes, so that older ones in a store are left alone."""

SOURCE = "image-composer:source"
SOURCE_VERSION = "image-composer:source-version"
DEPENDS = "image-composer:depends"
PRE_DEPENDS = "image-composer:pre-depends"
RECOMMENDS = "image-composer:recommends"
SUGGESTS = "image-composer:suggests"
ESSENTIAL = "image-composer:essential"
PRIORITY = "image-composer:priority"
MENTION = "image-composer:mention"
"""Order in which the index first mentions a package's name: apt's last resort among equal providers."""

KEYS = (SOURCE, SOURCE_VERSION, DEPENDS, PRE_DEPENDS, RECOMMENDS, SUGGESTS, ESSENTIAL, PRIORITY, MENTION)
"""Names of our own among libsolv's; what they hold is described by packages.py."""


def solv_files(repository: VerifiedRepository, *, store: ContentStore, downloader: Downloader) -> Sequence[Path]:
    """Give a repository's indexes as libsolv reads them best, from the store or made from verified indexes.

    Raises:
        RepositoryError: an index can't be had or is broken.
        StoreError: the cache can't be used.
    """
    return [_solv_file(repository, index, store, downloader) for index in repository.indexes]


def _solv_file(
    repository: VerifiedRepository, index: PackageIndex, store: ContentStore, downloader: Downloader
) -> Path:
    architecture = repository.source.architecture
    what = f"repository {repository.source.id}: {repository.source.suite} {index.file.path}"

    def make(target: Path) -> None:
        fetched = obtain_index(repository, index, store=store, downloader=downloader)
        write_solv_file(decompress(fetched, index, what), target, architecture, what)

    key = bytes_sha256(f"{FORM} {libsolv_version()} {architecture} {index.file.sha256}".encode())
    return store.derived("solv", key, make)


def decompress(path: Path, index: PackageIndex, what: str) -> bytes:
    """Give an index's text, which is what Release says as far as it says so.

    Raises:
        RepositoryError: REPO_MALFORMED, REPO_TOO_LARGE, REPO_DIGEST_MISMATCH.
    """
    text = unpacked(path, index.suffix, index.plain.size if index.plain else LARGEST_INDEX, what)
    if index.plain and bytes_sha256(text) != index.plain.sha256:
        raise RepositoryError("REPO_DIGEST_MISMATCH", f"{what} does not unpack to what Release lists")
    return text


def write_solv_file(index: bytes, target: Path, architecture: str, what: str) -> None:
    """Write an index in libsolv's form.

    Args:
        index: a Packages file, uncompressed.
        target: file to write.
        architecture: architecture that the packages are for.
        what: repository and file, for messages.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_DEB)
    pool.setarch(architecture)
    repo = pool.add_repo("index")
    index = readable_for_libsolv(index, architecture)
    with memory_file(index) as file:
        if not repo.add_debpackages(solv.xfopen_fd("Packages", file.fileno())):
            raise RepositoryError("REPO_MALFORMED", f"{what}: {pool.errstr}")
    _annotate(pool, repo, scan_packages(index, what), what)
    write_repo(repo, target, what)


def readable_for_libsolv(index: bytes, architecture: str) -> bytes:
    """Change an index where libsolv would read it otherwise than we need.

    It does not know dependencies on our own architecture, such as `libstdc++-14-dev:amd64`. There is one architecture
    in an image, so that saying it adds nothing; a foreign one stays, and can't be satisfied. And it keeps the longest
    digest only, where the lock is made of SHA-256.
    """
    plain = re.sub(rb":%s(?=[ ,|\n])" % re.escape(architecture.encode()), b"", index)
    return re.sub(rb"^SHA512:.*\n", b"", plain, flags=re.MULTILINE) if b"\nSHA512:" in plain else plain


def _annotate(pool: Any, repo: Any, entries: Iterator[IndexEntry], what: str) -> None:
    """Add to libsolv's packages what its reader leaves out; both readings must agree about which packages there are."""
    key = {name: pool.str2id(name) for name in KEYS}
    details = repo.add_repodata()
    for package, entry in zip_longest(repo.solvables_iter(), entries):
        if not package or not entry or (package.name, package.evr) != (entry.name, entry.version):
            found = entry or package
            raise RepositoryError("REPO_MALFORMED", f"{what}: the paragraph of {found.name} can be read in two ways")
        number = package.id
        details.set_num(number, solv.SOLVABLE_DOWNLOADSIZE, entry.size)
        details.set_num(number, key[PRIORITY], entry.priority)
        details.set_num(number, key[MENTION], package.nameid)
        if entry.source != entry.name:
            details.set_poolstr(number, key[SOURCE], entry.source)
        if entry.source_version != entry.version:
            details.set_poolstr(number, key[SOURCE_VERSION], entry.source_version)
        if entry.essential:
            details.set_void(number, key[ESSENTIAL])
        for name, text in (
            (DEPENDS, entry.depends),
            (PRE_DEPENDS, entry.pre_depends),
            (RECOMMENDS, entry.recommends),
            (SUGGESTS, entry.suggests),
        ):
            if text:
                details.set_str(number, key[name], text)
    repo.internalize()
