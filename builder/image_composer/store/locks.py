"""What keeps processes and threads that share a store apart.

All locks are `flock` locks of open files: the kernel drops them when a process ends, however it ends, and two threads
that opened a file each exclude one another like two processes do.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST_WAIT = 0.001
"""Seconds before a claim is tried a second time; each further wait is twice as long."""

LONGEST_WAIT = 0.05
"""Seconds between tries to get a claim: a bystander's load stays unmeasurable, and nobody notices the delay."""


@contextmanager
def claim(path: Path, waiting: Callable[[float], None]) -> Iterator[None]:
    """Hold a name, across processes and threads, until the block ends.

    Args:
        path: the lock file; it is there only while somebody holds or wants it.
        waiting: waits for some seconds; what it raises ends the wait. Polling, so that a wait for another build's
            download can be given up.
    """
    wait = FIRST_WAIT
    while (descriptor := _claim(path)) is None:
        waiting(wait)
        wait = min(wait * 2, LONGEST_WAIT)
    try:
        yield
    finally:
        _release(path, descriptor)


@contextmanager
def claimed_at_once(path: Path) -> Iterator[bool]:
    """Hold a name unless somebody else does; says which."""
    descriptor = _claim(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _claim(path: Path) -> int | None:
    """Give the open, locked file that a name has now, or nothing when somebody else has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _locked(descriptor):
            os.close(descriptor)
            return None
        if _is(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder removed the file between our opening and locking it


def _release(path: Path, descriptor: int) -> None:
    """Give back a name. The file goes while it is still locked, so that it is nobody else's."""
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(descriptor: int, path: Path) -> bool:
    """Say whether an open file is still the one that has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class Leases:
    """What the store's users have been given and may be using, so that trimming leaves it alone.

    Every user has one file with the names it was given, and holds a lock on it while it lives. A gate is passed, in
    shared mode, by who adds a name and closed, in exclusive mode, by who removes things: what was leased before
    is seen, what is leased after finds only what was left.

    Args:
        folder: where the files are; the same for all users of a store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gate = folder / "gate"
        self._own: _Lease | None = None
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """Lease something, before looking whether it is there."""
        with self._lock, self._passed(fcntl.LOCK_SH):
            if self._own is None:
                self._own = _Lease(self._folder)
            self._own.add(name)

    @contextmanager
    def closed(self) -> Iterator[frozenset[str]]:
        """End our own leases and keep everybody from leasing; gives what is leased by others."""
        with self._lock, self._passed(fcntl.LOCK_EX):
            if self._own is not None:
                self._own.end()
                self._own = None
            files = [path for path in self._folder.iterdir() if path != self._gate]
            yield frozenset(name for path in files for name in _living(path))

    @contextmanager
    def _passed(self, mode: int) -> Iterator[None]:
        descriptor = os.open(self._gate, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, mode)
            yield
        finally:
            os.close(descriptor)


class _Lease:
    """One user's file."""

    def __init__(self, folder: Path) -> None:
        descriptor, name = tempfile.mkstemp(dir=folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._path = Path(name)
        self._descriptor = descriptor
        self._names: set[str] = set()
        self.close = weakref.finalize(self, os.close, descriptor)

    def add(self, name: str) -> None:
        if name not in self._names:
            os.write(self._descriptor, f"{name}\n".encode())
            self._names.add(name)

    def end(self) -> None:
        self._path.unlink(missing_ok=True)
        self.close()


def _living(path: Path) -> list[str]:
    """Give what a user has leased; removes the file of one that is gone."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        if _locked(descriptor):
            path.unlink()
            return []
        return path.read_text().splitlines()
    finally:
        os.close(descriptor)
