"""A repository that was fetched and verified, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from image_composer.report import Reporter
from image_composer.repository.lock import LockedRepository
from image_composer.repository.sources import RepositorySource
from image_composer.run import Runner
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What fetching and verifying repositories takes."""

    store: ContentStore
    """Keeps indexes and what is made of them."""

    downloader: Downloader
    """Fetches what the store doesn't have."""

    runner: Runner
    """Runs gpgv and zstd."""

    reporter: Reporter
    """Told what happens."""

    now: datetime
    """The time that repositories' dates are held against."""


@dataclass(frozen=True, slots=True)
class LoadedRepository:
    """A repository whose metadata was verified and is ready for the solver."""

    source: RepositorySource
    locked: LockedRepository
    """What the lock says about it."""

    files: Sequence[Path]
    """Its indexes in libsolv's form."""
