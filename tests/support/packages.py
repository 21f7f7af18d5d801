"""Files to be obtained, as a repository would describe them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from image_composer.digest import bytes_sha256
from image_composer.report import NullSink, Reporter, Sink
from image_composer.settings import Settings
from image_composer.store.content import Wanted
from image_composer.store.download import Downloader


def content(name: str, size: int) -> bytes:
    """Give bytes that don't repeat, the same for a name whenever it is asked for."""
    return random.Random(name).randbytes(size)


def wanted(body: bytes, *urls: str, name: str = "a-package 1.0") -> Wanted:
    return Wanted(bytes_sha256(body), len(body), urls or ("http://127.0.0.1:9/",), name, "main")


def downloader(
    cache: Path, sink: Sink | None = None, *, pause: Callable[[float], None] = lambda _: None, **settings: Any
) -> Downloader:
    """Give a downloader that does not wait between tries."""
    chosen = replace(Settings(cache_dir=cache, retries=2), **settings)
    return Downloader(chosen, Reporter(sink or NullSink()), pause=pause)
