"""Fetches all packages of a lock, in parallel, into a folder of links that nothing can take away."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path
from urllib.parse import quote

from image_composer.errors import RepositoryError
from image_composer.report import Reporter
from image_composer.repository.lock import Lock, LockedPackage
from image_composer.settings import Settings
from image_composer.store.content import ContentStore, Wanted
from image_composer.store.download import OFFLINE_HINT, Downloader
from image_composer.store.files import explained, make_folder
from image_composer.store.place import Place
from image_composer.threads import Threads

UNLINKABLE = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
"""Why a hard link can't be made though a copy can: another file system, another owner, too many links, no links."""


def fetch(
    lock: Lock,
    folder: Path,
    *,
    store: ContentStore,
    downloader: Downloader,
    settings: Settings,
    reporter: Reporter,
) -> dict[str, Path]:
    """Put every package of a lock into a folder, verified, as `<name>_<version>_<architecture>.<format>`.

    The files are links into the store where the file system allows it, so they must not be written to. The first
    failure ends the rest; what was fetched by then is kept in the store.

    Args:
        lock: the packages.
        folder: where they are put; made when it is missing. What is there already stays.
        store: where they come from, and are kept for the next build.
        downloader: fetches what the store lacks.
        settings: how many are fetched at once, and whether the network may be used.
        reporter: told how many bytes are there.

    Returns:
        The files by package name.

    Raises:
        RepositoryError: a package can't be had; REPO_OFFLINE names all that are missing.
        StoreError: the store or the folder can't be written.
    """
    by_digest: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        by_digest.setdefault(package.sha256, []).append(package)
    wanted = [_wanted(packages[0]) for packages in by_digest.values()]
    if settings.offline:
        _require_held(wanted, store)
    with explained(folder, "the packages"):
        make_folder(folder)
    progress = _Progress(reporter, sum(item.size for item in wanted))

    def put(item: Wanted) -> dict[str, Path]:
        source = store.obtain(item, downloader, progress.advance)
        with explained(folder, item.name, item.size):
            return {package.name: linked(source, folder / file_name(package)) for package in by_digest[item.sha256]}

    # The largest first: a large one that starts last would run alone at the end.
    found: dict[str, Path] = {}
    for paths in _in_parallel(put, sorted(wanted, key=lambda item: -item.size), settings.downloads, progress.stop):
        found.update(paths)
    return {package.name: found[package.name] for package in lock.packages}


def file_name(package: LockedPackage) -> str:
    """Give the name of a package's file; what a file name can't hold, such as an epoch's colon, is percent-encoded."""
    parts = (package.name, package.version, package.architecture)
    return "_".join(quote(part, safe="+~^") for part in parts) + (".rpm" if package.url.endswith(".rpm") else ".deb")


def _wanted(package: LockedPackage) -> Wanted:
    return Wanted(
        sha256=package.sha256,
        size=package.size,
        urls=(package.url,),
        name=f"{package.name} {package.version}",
        repository=package.repository,
    )


def _require_held(wanted: Sequence[Wanted], store: ContentStore) -> None:
    """Name everything that is missing at once, rather than the first thing met."""
    missing = [
        item
        for item in wanted
        if not store.holds(item.sha256) and not any(Place.of(url, item.repository).local for url in item.urls)
    ]
    if missing:
        names = "\n".join(f"  {item.name} (repository {item.repository})" for item in missing)
        message = f"not in the cache, and the network may not be used (offline):\n{names}"
        raise RepositoryError("REPO_OFFLINE", message, hint=OFFLINE_HINT)


class _StoppedError(Exception):
    """Another package failed: no use going on with this one."""


class _Progress:
    """Counts the bytes of all threads; also the way to stop them."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self._reporter = reporter
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._stopped = False

    def advance(self, count: int) -> None:
        if self._stopped:
            raise _StoppedError
        if count:
            with self._lock:
                self._done += count
                self._reporter.progress("fetching packages", self._done, self._total, "bytes")

    def stop(self) -> None:
        self._stopped = True


def _in_parallel(
    put: Callable[[Wanted], Mapping[str, Path]], wanted: Sequence[Wanted], threads: int, stop: Callable[[], None]
) -> list[Mapping[str, Path]]:
    """Do something for every file at once; the first failure, or an interruption, stops the others."""
    with Threads(threads, thread_name_prefix="fetch") as pool:
        futures: list[Future[Mapping[str, Path]]] = [pool.submit(put, item) for item in wanted]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            stop()
            pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]


def linked(source: Path, target: Path) -> Path:
    """Put a file of the store under another name, in place of what has it."""
    if target.exists() and target.samefile(source):
        return target
    temporary = target.with_name(f".{target.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno not in UNLINKABLE:
            raise
        shutil.copyfile(source, temporary)
        temporary.chmod(0o644)
    temporary.replace(target)
    return target
