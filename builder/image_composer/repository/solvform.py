"""libsolv's own binary form of an index, which loads several times faster than the text it is made from."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import solv


def libsolv_version() -> str:
    """Give the version that such files depend on; a distribution's own build may not say."""
    try:
        return version("solv")
    except PackageNotFoundError:
        return "unknown"


def memory_file(content: bytes = b"") -> IO[bytes]:
    """Give a file that is in memory only, to be read from its start."""
    file = os.fdopen(os.memfd_create("image-composer-index"), "w+b")
    file.write(content)
    file.seek(0)
    return file


def write_repo(repo: Any, target: Path, what: str) -> None:
    """Write a libsolv repository to a file.

    Args:
        repo: the repository, of libsolv.
        target: the file.
        what: repository and file, for messages.

    Raises:
        OSError: the file can't be written.
    """
    with memory_file() as file, target.open("wb") as written:
        stream = solv.xfopen_fd("index.solv", file.fileno())
        if not repo.write(stream) or not stream.close():
            raise MemoryError(f"{what}: no room for libsolv's form of it")
        file.seek(0)
        shutil.copyfileobj(file, written)  # not libsolv's own writing: it does not say why it failed
