"""A process that obtains one file from a store: `obtain.py ROOT URL SHA256 SIZE`; prints the path or the error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from image_composer.errors import ComposerError
from image_composer.report import Reporter
from image_composer.settings import Settings
from image_composer.store.content import ContentStore, Wanted
from image_composer.store.download import Downloader


def start(root: Path, wanted: Wanted, *prefix: str) -> subprocess.Popen[str]:
    """Start such a process, behind the words of a command that runs it."""
    words = [*prefix, sys.executable, __file__, str(root), wanted.urls[0], wanted.sha256, str(wanted.size)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, str]:
    """Wait for the process and give what it printed."""
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    result: dict[str, str] = json.loads(printed)
    return result


def main(root: str, url: str, sha256: str, size: str) -> None:
    settings = Settings(cache_dir=Path(root))
    wanted = Wanted(sha256, int(size), (url,), "a-package 1.0", "main")
    try:
        store = ContentStore(settings.cache_dir, settings.cache_bytes)
        found = {"path": str(store.obtain(wanted, Downloader(settings, Reporter())))}
    except ComposerError as error:
        found = {"code": error.code, "message": error.message, "hint": error.hint or ""}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
