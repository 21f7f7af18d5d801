"""Where test tooling keeps what takes long to make, and how processes share it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

UNUSED_SECONDS = 7 * 24 * 3600
"""Age at which an entry goes: what it was made of has changed since, and no test of an older checkout asked."""


def dev_cache(name: str) -> Path:
    """Give the folder of one kind of things."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "image-composer-dev" / name


def sweep(entries: Iterable[Path]) -> None:
    """Remove what was left by who was killed, and what nobody used for a week."""
    for folder in [*entries]:
        if folder.suffix or time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder)


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Wait until no other process makes or looks for an entry."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
