"""The one downloader: tries again after what may pass, resumes, hashes while it writes."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from image_composer.errors import RepositoryError
from image_composer.report import Reporter
from image_composer.settings import Settings
from image_composer.store.place import Place, Sign
from image_composer.store.transport import CHUNK, Answer, Transport, UnreachableError

FIRST_PAUSE = 1.0
"""Seconds before the second try; each further pause is twice as long. A mirror's or proxy's restart takes seconds."""

LONGEST_PAUSE = 60.0
"""Seconds that a pause never exceeds, even when the server asks for more."""

T = TypeVar("T")


class Downloader:
    """Fetches files; may be used by many threads at once.

    Args:
        settings: time-out, retries, proxies, connections.
        reporter: told about tries that failed and are made again.
        pause: waits for some seconds.
        sign: gives the address of an object in a bucket.
    """

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter,
        *,
        pause: Callable[[float], None] = time.sleep,
        sign: Sign | None = None,
    ) -> None:
        self.reporter = reporter
        self._settings = settings
        self._pause = pause
        self._transport = Transport(settings, sign)

    def read(self, url: str, *, limit: int, repository: str) -> bytes:
        """Give a small file whose digest is not known beforehand, such as InRelease.

        Args:
            url: an http, https or file URL.
            limit: bytes that it may have at most.
            repository: id, for messages.

        Raises:
            RepositoryError: REPO_UNREACHABLE, REPO_NOT_FOUND, REPO_FORBIDDEN, REPO_TOO_LARGE, REPO_OFFLINE and what
                else `Transport.opened` raises.
        """
        place = self._allowed(url, repository, url)

        def attempt() -> bytes:
            # The name stays while the content changes, so caches on the way have to ask whether theirs is current.
            with self._transport.opened(place, headers={"Cache-Control": "max-age=0"}) as answer:
                return _limited(place, answer, limit)

        return self._persist(attempt, lambda: None)

    def download(
        self,
        url: str,
        partial: Path,
        *,
        size: int,
        name: str,
        repository: str,
        advance: Callable[[int], None],
        fresh: bool = False,
    ) -> str:
        """Fetch a file, going on from what an earlier try left, and give the SHA-256 of all of it.

        Args:
            url: an http, https or file URL.
            partial: file that is filled; nobody else may write to it meanwhile.
            size: bytes that the whole file has.
            name: what it is, for messages.
            repository: id, for messages.
            advance: told how many bytes are there, less than none when they have to come again or the download
                fails; called with 0 before every try. What it raises ends the download.
            fresh: start over, and ask caches on the way to do so too.

        Raises:
            RepositoryError: REPO_UNREACHABLE, REPO_NOT_FOUND, REPO_FORBIDDEN, REPO_SIZE_MISMATCH, REPO_OFFLINE and
                what else `Transport.opened` raises.
            OSError: the partial file can't be written.
        """
        place = self._allowed(url, repository, name)
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        with _opened_partial(partial, advance, keep=not fresh) as partly:
            if partly.filled > size:
                partly.empty()

            def attempt() -> str:
                if partly.filled < size:
                    with self._transport.opened(place, start=partly.filled, headers=headers) as answer:
                        _fill(partly, answer, place, size)
                return partly.sha256()

            return self._persist(attempt, lambda: advance(0))

    def _allowed(self, url: str, repository: str, name: str) -> Place:
        place = Place.of(url, repository)
        if self._settings.offline and not place.local:
            raise RepositoryError(
                "REPO_OFFLINE",
                f"repository {repository}: {name} is not in the cache, and the network may not be used (offline)",
                hint=OFFLINE_HINT,
            )
        return place

    def _persist(self, attempt: Callable[[], T], before: Callable[[], None]) -> T:
        """Try until it works, a failure won't pass, or the settings' tries are used up."""
        for number in range(1, self._settings.retries + 1):
            before()
            try:
                return attempt()
            except UnreachableError as error:
                seconds = min(max(pause_after(number), error.wait or 0.0), LONGEST_PAUSE)
                self.reporter.info(f"{error.message}; trying again in {seconds:g} s")
                self._pause(seconds)
        before()
        return attempt()


OFFLINE_HINT = "build once without IMAGE_COMPOSER_OFFLINE, or name a file:// mirror with IMAGE_COMPOSER_MIRROR_*"


def pause_after(number: int) -> float:
    """Give the seconds to wait after a failed try, counted from 1."""
    doublings = min(number - 1, 16)  # beyond any bound of ours, within what a float holds
    return min(FIRST_PAUSE * float(1 << doublings), LONGEST_PAUSE)


def _limited(place: Place, answer: Answer, limit: int) -> bytes:
    """Read a whole small file."""
    content = bytearray()
    for chunk in answer.chunks:
        content += chunk
        if len(content) > limit:
            raise RepositoryError("REPO_TOO_LARGE", place.sentence(f"larger than the {limit} bytes allowed"))
    return bytes(content)


class _Partial:
    """A file that is being filled, with the digest of what it holds."""

    def __init__(self, stream: io.FileIO, advance: Callable[[int], None]) -> None:
        self.filled = 0
        self._stream = stream
        self._advance = advance
        self._hash = hashlib.sha256()

    def take_up(self) -> None:
        """Count and hash what the file holds already."""
        while chunk := self._stream.read(CHUNK):
            self._count(chunk)

    def write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[self._stream.write(view) :]
        self._count(chunk)

    def empty(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._hash = hashlib.sha256()
        self._advance(-self.filled)
        self.filled = 0

    def sha256(self) -> str:
        return self._hash.hexdigest()

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.filled += len(chunk)
        self._advance(len(chunk))


@contextmanager
def _opened_partial(path: Path, advance: Callable[[int], None], *, keep: bool) -> Iterator[_Partial]:
    """Open a file to be filled; bytes of one that can't be had after all don't count as progress."""
    path.touch()
    with path.open("r+b", buffering=0) as stream:
        partly = _Partial(stream, advance)
        if keep:
            partly.take_up()
        else:
            stream.truncate()
        try:
            yield partly
        except RepositoryError:
            advance(-partly.filled)
            raise


def _fill(partly: _Partial, answer: Answer, place: Place, size: int) -> None:
    """Write an answer's bytes behind those there are, never more than the file shall have."""
    if answer.total is not None and answer.total != size:
        raise _size_mismatch(place, size, f"{answer.total} bytes")
    if answer.start != partly.filled:
        partly.empty()
    for chunk in answer.chunks:
        if partly.filled + len(chunk) > size:
            raise _size_mismatch(place, size, "more")
        partly.write(chunk)
    if partly.filled < size:
        raise UnreachableError(place.sentence(f"the connection ended after {partly.filled} of {size} bytes"))


def _size_mismatch(place: Place, size: int, found: str) -> RepositoryError:
    return RepositoryError(
        "REPO_SIZE_MISMATCH",
        place.sentence(f"has {found} where the repository's index says {size} bytes"),
        hint="the mirror is being updated or a proxy answers in its place: try again later or name another mirror",
    )
