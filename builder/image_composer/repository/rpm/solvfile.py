"""primary.xml in libsolv's own binary form, and the same with filelists.xml for those who need every path.

Such a file is kept in the store by the digests of the files it comes from. All that is trusted about packages later is
checked here: names, versions, digests, and that package files are inside the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import solv

from image_composer.digest import bytes_sha256
from image_composer.repository.loaded import Means
from image_composer.repository.rpm.metadata import VerifiedRepository, read_file
from image_composer.repository.rpm.repomd import PATH, malformed, no_sha256
from image_composer.repository.solvform import libsolv_version, memory_file, write_repo

FORM = 1
"""Counted up whenever what these files carry changes, so that older ones in a store are left alone."""

PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")
VERSION = re.compile(r"(?=.{1,128}$)(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~^_]*-[A-Za-z0-9.+~^_]+")
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

DECLARATION = re.compile(rb"<\?xml\b[^>]*\?>")
ENCODING = re.compile(rb"\bencoding\s*=\s*[\"'](?!utf-8[\"'])", re.IGNORECASE)
ROOT = re.compile(rb"\s*<(?P<name>[A-Za-z:]+)\b(?P<attributes>[^>]*)>")
COUNT = re.compile(rb"\bpackages\s*=\s*[\"']([0-9]{1,9})[\"']")


def solv_file(repository: VerifiedRepository, means: Means, *, every_path: bool = False) -> Path:
    """Give a repository's packages as libsolv reads them best, from the store or made from verified metadata.

    Args:
        repository: the repository.
        means: what fetching takes.
        every_path: whether all paths of packages are needed, or the few that primary.xml lists are enough.

    Raises:
        RepositoryError: the metadata can't be had or is broken.
        StoreError: the cache can't be used.
    """
    filelists = repository.repomd.filelists if every_path else None
    files = [repository.repomd.primary, *([filelists] if filelists else [])]
    what = f"repository {repository.source.id}: {repository.repomd.primary.path}"

    def make(target: Path) -> None:
        primary, *rest = (read_file(repository, file, means) for file in files)
        write_solv_file(primary, rest[0] if rest else None, target, what)

    digests = " ".join(file.sha256 for file in files)
    return means.store.derived("solv", bytes_sha256(f"rpm {FORM} {libsolv_version()} {digests}".encode()), make)


def write_solv_file(primary: bytes, filelists: bytes | None, target: Path, what: str) -> None:
    """Write packages in libsolv's form.

    Args:
        primary: primary.xml, unpacked.
        filelists: filelists.xml, unpacked, if every path is wanted.
        target: file to write.
        what: repository and file, for messages.

    Raises:
        RepositoryError: REPO_MALFORMED, REPO_NO_SHA256.
    """
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    repo = pool.add_repo("index")
    _add(repo, primary, b"metadata", what)
    for package in repo.solvables_iter():
        _check(package, what)
    if filelists is not None:
        _add(repo, filelists, b"filelists", f"{what} (filelists)", solv.Repo.REPO_EXTEND_SOLVABLES)
    write_repo(repo, target, what)


def _add(repo: Any, document: bytes, root: bytes, what: str, flags: int = 0) -> None:
    announced = _announced(document, root, what)
    with memory_file(document) as file:
        if not repo.add_rpmmd(solv.xfopen_fd("index.xml", file.fileno()), None, flags):
            raise malformed(f"{what}: {' '.join(repo.pool.errstr.split())}")
    if announced not in {None, repo.nsolvables}:
        raise malformed(f"{what} announces {announced} packages, and {repo.nsolvables} are there")


def _announced(document: bytes, root: bytes, what: str) -> int | None:
    """Give how many packages a document says that it has, and keep other documents away from libsolv's parser.

    It reads any XML, other documents as empty ones; and it would take entities from a document type.
    """
    text = document.removeprefix(b"\xef\xbb\xbf")
    declaration = DECLARATION.match(text)
    if b"\0" in document[:1024] or (declaration and ENCODING.search(declaration[0])):
        raise malformed(f"{what} is not written in UTF-8")
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise malformed(f"{what} declares a document type, which it must not")
    start = ROOT.match(text, declaration.end() if declaration else 0)
    if start is None or start["name"] != root:
        raise malformed(f"{what} is not XML with the outermost element {root.decode()!r}")
    count = COUNT.search(start["attributes"])
    return int(count[1]) if count else None


def _check(package: Any, what: str) -> None:
    label = f"{what}: {package.name} {package.evr}"
    for pattern, value, part in (
        (PACKAGE_NAME, package.name, "name"),
        (VERSION, package.evr, "version"),
        (ARCHITECTURE, package.arch, "architecture"),
    ):
        if not pattern.fullmatch(value):
            raise malformed(f"{label} has an unacceptable {part}: {value!r}")
    checksum = package.lookup_checksum(solv.SOLVABLE_CHECKSUM)
    if checksum is None or checksum.typestr() != "sha256":
        raise no_sha256(f"{label} has a digest of the kind {checksum.typestr() if checksum else 'none'}, not sha256")
    location = package.lookup_location()
    place = (location[0] if location else None) or ""
    if package.lookup_str(solv.SOLVABLE_MEDIABASE) or not PATH.fullmatch(place) or not PATH.fullmatch(unquote(place)):
        raise malformed(f"{label} has an unacceptable location (it must stay inside the repository): {place!r}")
    if not package.lookup_num(solv.SOLVABLE_DOWNLOADSIZE):
        raise malformed(f"{label} has no size")
