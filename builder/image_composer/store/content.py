"""The content-addressed store: every file under its SHA-256, verified whenever it is handed out.

Layout, below the root:

    objects/ab/ab12...    files by digest, never changed once there
    derived/<kind>/<key>  digest of the object that was computed for a key
    partial/              files on their way, resumed by whoever wants them next
    locks/                names that are being worked on
    leases/               what running builds have been given

A file gets its final name only after it is complete, verified and written through to the disk, so neither a kill nor a
power cut leaves anything wrong under a final name.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.report import Reporter
from image_composer.store.download import Downloader
from image_composer.store.files import FULL, entries, explained, keep, make_folder
from image_composer.store.locks import Leases, claim, claimed_at_once
from image_composer.store.wanted import DIGEST, Wanted, download

__all__ = ["ContentStore", "Trimmed", "Usage", "Wanted"]

FOLDERS = ("objects", "derived", "partial", "locks", "leases")

KIND = re.compile(r"[a-z][a-z0-9-]*")
KEY = re.compile(r"[0-9a-f]{16,128}")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store holds."""

    files: int
    """Complete files."""

    bytes: int
    """Bytes of complete files and of those on their way."""

    partial_bytes: int
    """How many of them are on their way, or were when their build ended."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What was removed from a store."""

    files: int
    bytes: int
    in_use: int
    """Files that would have gone too, were no running build using them."""


def _ignore(_: int) -> None:
    """Take a number of bytes that nobody wants to know."""


class ContentStore:
    """A store in a folder, shared by any number of threads and processes.

    What is handed out stays until this process ends or trims: see `Leases`. Whoever needs a file for longer links or
    copies it.

    Args:
        root: the folder; made when it is missing.
        max_bytes: size that `trim` brings it down to.
        clock: seconds since 1970, for the order in which files were last used.
        pause: waits for some seconds, while another process works on what is wanted.

    Raises:
        StoreError: STORE_DISK_FULL, STORE_UNWRITABLE, STORE_FAILED.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        *,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._clock = clock
        self._pause = pause
        self._leases = Leases(root / "leases")
        with explained(root, "the cache"):
            for folder in (root, *(root / name for name in FOLDERS)):
                make_folder(folder)

    def obtain(self, wanted: Wanted, downloader: Downloader, advance: Callable[[int], None] = _ignore) -> Path:
        """Give a verified file, from the store or by downloading it; one download however many want it.

        Args:
            wanted: what is needed.
            downloader: used when the file is not there, or is damaged.
            advance: told how many bytes are there, as they come; less than none when they have to come again.
                What it raises ends the download, or the wait for somebody else's.

        Raises:
            RepositoryError: it can't be had; REPO_DIGEST_MISMATCH when what the mirrors have is something else.
            StoreError: STORE_DISK_FULL, STORE_UNWRITABLE, STORE_FAILED.
        """
        path = self._object(wanted.sha256)
        with explained(self.root, wanted.name, wanted.size):
            if self._hit(path):
                advance(wanted.size)
                return path
            with self._claimed(wanted.sha256, advance) as partial:
                if self._hit(path):  # whoever held the name before us has brought it
                    advance(wanted.size)
                    return path
                self._remove_damaged(path, wanted, downloader.reporter)
                self._bring(wanted, partial, path, downloader, advance)
                return path

    def derived(self, kind: str, key: str, make: Callable[[Path], object]) -> Path:
        """Give a file that is computed from others, made once for a key; one that was damaged is made again.

        Args:
            kind: what it is, in lower case; the same key may be used with several kinds.
            key: digest, in hex, of everything that decides about the content.
            make: writes the file at the path that it is given. When it fails, nothing is kept.

        Raises:
            StoreError: STORE_DISK_FULL, STORE_UNWRITABLE, STORE_FAILED.
        """
        if not (KIND.fullmatch(kind) and KEY.fullmatch(key)):
            raise ValueError(f"{kind!r} and {key!r} can't name a derived file")
        pointer = self.root / "derived" / kind / key
        with explained(self.root, f"a derived file ({kind})"):
            path = self._pointed(pointer)
            if path is not None:
                return path
            with self._claimed(f"{kind}-{key}", _ignore) as temporary:
                return self._pointed(pointer) or self._derive(pointer, temporary, make)

    def holds(self, sha256: str) -> bool:
        """Say whether a file is there, without verifying it."""
        return self._object(sha256).exists()

    def usage(self) -> Usage:
        """Say how much the store holds."""
        objects = entries(self.root / "objects", "*/*")
        partial = sum(entry.size for entry in entries(self.root / "partial", "*"))
        return Usage(len(objects), sum(entry.size for entry in objects) + partial, partial)

    def trim(self) -> Trimmed:
        """Remove the files that were unused for longest, until the store has its size.

        What other running builds have been given stays. What this one has been given does not: trim when the build is
        done. Files linked to elsewhere live on there.

        Raises:
            StoreError: STORE_UNWRITABLE, STORE_FAILED.
        """
        return self._shrink(self._max_bytes)

    def clear(self) -> Trimmed:
        """Remove every file that no other running build has been given.

        Raises:
            StoreError: STORE_UNWRITABLE, STORE_FAILED.
        """
        return self._shrink(-1)  # empty files too

    def _object(self, sha256: str) -> Path:
        return self.root / "objects" / sha256[:2] / sha256

    def _hit(self, path: Path) -> bool:
        """Say whether an object is there and intact; if so it is leased to us and the last to be trimmed."""
        self._leases.add(path.name)
        try:
            intact = file_sha256(path) == path.name
            if intact:
                now = self._clock()
                os.utime(path, (now, now))
            return intact
        except FileNotFoundError:
            return False

    def _remove_damaged(self, path: Path, wanted: Wanted, reporter: Reporter) -> None:
        if path.exists():
            reporter.warning(f"{wanted.name} is damaged in the cache and is fetched again: {path}")
            path.unlink()

    def _bring(
        self,
        wanted: Wanted,
        partial: Path,
        path: Path,
        downloader: Downloader,
        advance: Callable[[int], None],
    ) -> None:
        try:
            download(wanted, partial, downloader, advance)
            keep(partial, path, self._clock())
        except OSError as error:
            if error.errno in FULL:  # a file that can't get complete only takes room from others
                partial.unlink(missing_ok=True)
            raise

    def _pointed(self, pointer: Path) -> Path | None:
        """Give the object that was computed for a key, if it is there and intact."""
        try:
            digest = pointer.read_text()
        except FileNotFoundError:
            return None
        path = self._object(digest)
        return path if DIGEST.fullmatch(digest) and self._hit(path) else None

    def _derive(self, pointer: Path, temporary: Path, make: Callable[[Path], object]) -> Path:
        temporary.unlink(missing_ok=True)  # of a process that was killed
        try:
            make(temporary)
            digest = file_sha256(temporary)
            self._leases.add(digest)
            keep(temporary, self._object(digest), self._clock())
            temporary.write_text(digest)
            keep(temporary, pointer, self._clock())
        finally:
            temporary.unlink(missing_ok=True)
        return self._object(digest)

    @contextmanager
    def _claimed(self, name: str, advance: Callable[[int], None]) -> Iterator[Path]:
        """Hold a name across processes and threads; gives the file that only the holder may touch meanwhile."""

        def wait(seconds: float) -> None:
            advance(0)
            self._pause(seconds)

        with claim(self.root / "locks" / name, wait):
            yield self.root / "partial" / name

    def _shrink(self, bound: int) -> Trimmed:
        files = freed = in_use = 0
        with explained(self.root, "trimming"), self._leases.closed() as leased:
            found = [*entries(self.root / "objects", "*/*"), *entries(self.root / "partial", "*")]
            excess = sum(entry.size for entry in found) - bound
            for entry in sorted(found, key=lambda entry: entry.used):
                if excess <= 0:
                    break
                if entry.path.name in leased or not self._removed(entry.path):
                    in_use += 1
                    continue
                files, freed, excess = files + 1, freed + entry.size, excess - entry.size
            self._sweep()
        return Trimmed(files, freed, in_use)

    def _removed(self, path: Path) -> bool:
        """Remove a file unless somebody is just bringing or making it."""
        with claimed_at_once(self.root / "locks" / path.name) as claimed:
            if claimed:
                path.unlink(missing_ok=True)
            return claimed

    def _sweep(self) -> None:
        """Remove what has lost its meaning: pointers to nothing, locks of processes that were killed."""
        for pointer in self.root.glob("derived/*/*"):
            if not self.holds(pointer.read_text()):
                pointer.unlink()
        for lock in (self.root / "locks").iterdir():
            with claimed_at_once(lock):
                pass  # its file goes with the claim
