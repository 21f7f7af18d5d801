"""Deb repositories made for a test: real packages, indexes and signatures, and whatever is to be wrong with them."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from image_composer.digest import bytes_sha256
from support.debs import Deb, index, make_deb, paragraph_of
from support.openpgp import Key, Keychain

PUBLISHED = datetime(2024, 1, 15, 12, 0, tzinfo=UTC)
"""When repositories were published unless they say otherwise: after the keys were made, before any test runs."""

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lambda content: lzma.compress(content, preset=0),
}


@dataclass(frozen=True)
class DebRepository:
    """A repository to be written; every field can be set to what makes it wrong."""

    packages: Sequence[Deb] = ()
    """Packages of the first component, made and listed."""

    indexes: Mapping[str, bytes] = field(default_factory=dict)
    """Indexes given as they are, by their folder, such as `main/binary-amd64`, where the packages are listed too."""

    suite: str = "stable"
    codename: str = "bookworm"
    folder: str = "bookworm"
    """Folder below `dists/`."""

    component: str = "main"
    architecture: str = "amd64"
    published: datetime = PUBLISHED
    valid_for: timedelta | None = timedelta(days=7)
    compressions: Sequence[str] = (".xz", ".gz")
    """Suffixes of the index files that are there; the uncompressed one is listed in Release all the same."""

    by_hash: bool = True
    detached: bool = False
    """Whether the signature is a file of its own, without an InRelease."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """Fields of Release instead of, or beside, the right ones; an empty one is left out."""

    flat: bool = False
    """Whether there is neither `dists/` nor a component."""

    tamper: Callable[[str, bytes], bytes] = lambda _, content: content
    """Changes index files after Release was made of them, given their path and content."""


def write_repository(repository: DebRepository, folder: Path, keychain: Keychain, *keys: Key) -> Path:
    """Write a repository into a folder, signed with some keys, or not signed when there is none; gives the folder."""
    pool = folder / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    made = [(deb, make_deb(deb, pool)) for deb in repository.packages]
    listed = [paragraph_of(deb, file, f"pool/{file.name}") for deb, file in made]
    root = folder if repository.flat else folder / "dists" / repository.folder
    first = "" if repository.flat else f"{repository.component}/binary-{repository.architecture}"
    indexes = {first: b"", **repository.indexes}
    indexes[first] = b"\n".join(part for part in (index(*listed), indexes[first]) if part)
    sums = dict(_write_indexes(repository, root, indexes))
    release = release_text(repository, sums)
    signed_at = repository.published
    if not keys:
        (root / "Release").write_bytes(release)
    elif repository.detached:
        (root / "Release").write_bytes(release)
        (root / "Release.gpg").write_bytes(keychain.detach(release, *keys, at=signed_at))
    else:
        (root / "InRelease").write_bytes(keychain.clearsign(release, *keys, at=signed_at))
    return folder


def release_text(repository: DebRepository, files: Mapping[str, bytes]) -> bytes:
    """Give the Release file for index files by their path."""
    until = repository.published + repository.valid_for if repository.valid_for is not None else None
    architectures = {
        repository.architecture,
        *(path.split("binary-")[1].split("/")[0] for path in files if "/" in path),
    }
    fields = {
        "Origin": "Tests",
        "Suite": repository.suite,
        "Codename": repository.codename,
        "Date": format_datetime(repository.published.astimezone(UTC), usegmt=True),
        "Valid-Until": format_datetime(until.astimezone(UTC), usegmt=True) if until else "",
        "Acquire-By-Hash": "yes" if repository.by_hash else "",
        "Architectures": " ".join(sorted(architectures)),
        "Components": repository.component,
        "SHA256": "".join(
            f"\n {bytes_sha256(content)} {len(content):>8} {path}" for path, content in sorted(files.items())
        ),
        **repository.fields,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value).encode()


def _write_indexes(repository: DebRepository, root: Path, indexes: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Write index files, and give each as Release shall list it."""
    for folder, content in indexes.items():
        for suffix in dict.fromkeys(("", *repository.compressions)):
            path = f"{folder}/Packages{suffix}".lstrip("/")
            packed = COMPRESS[suffix](content)
            yield path, packed
            if suffix in repository.compressions:
                written = repository.tamper(path, packed)
                places = [root / path]
                if repository.by_hash:
                    places.append(root / folder / "by-hash" / "SHA256" / bytes_sha256(packed))
                for place in places:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(written)
    root.mkdir(parents=True, exist_ok=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback and give its URL."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False  # a client may keep its connection open
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""
