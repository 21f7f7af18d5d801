"""Indexes as repositories compress them, unpacked with a limit: what a server sends must not fill our memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from image_composer.errors import RepositoryError
from image_composer.run import Runner, kill_group

LARGEST_INDEX = 1024 * 1024 * 1024
"""Bytes an index may unpack to when its repository doesn't say: twenty times Debian's largest."""


def unpacked(path: Path, suffix: str, limit: int, what: str, runner: Runner | None = None) -> bytes:
    """Give what a file unpacks to.

    Args:
        path: the file.
        suffix: its compression, `.xz`, `.bz2`, `.gz` or `.zst`; anything else is none.
        limit: bytes that it may unpack to.
        what: repository and file, for messages.
        runner: runs zstd, which Python can't unpack itself.

    Raises:
        RepositoryError: REPO_MALFORMED, REPO_TOO_LARGE.
        ToolError: TOOL_MISSING, there is no zstd.
    """
    try:
        with _opened(path, suffix, runner) as stream:
            text = stream.read(limit + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise RepositoryError("REPO_MALFORMED", f"{what} can't be unpacked: {error}") from error
    if len(text) > limit:
        raise RepositoryError("REPO_TOO_LARGE", f"{what} unpacks to more than {limit} bytes")
    return text


def _opened(path: Path, suffix: str, runner: Runner | None) -> contextlib.AbstractContextManager[IO[bytes]]:
    match suffix:
        case ".xz":
            return lzma.open(path)
        case ".bz2":
            return bz2.open(path)
        case ".gz":
            return cast(IO[bytes], gzip.open(path))  # a GzipFile is one in all but its stub's name
        case ".zst":
            return _unzstd(path, runner or Runner())
        case _:
            return path.open("rb")


@contextlib.contextmanager
def _unzstd(path: Path, runner: Runner) -> Iterator[IO[bytes]]:
    process = runner.start(["zstd", "-dcq", "--", path], stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout as stream:
        try:
            yield stream
            rest = stream.read(1)  # more than was asked for: how it would end does not matter any more
            if not rest and process.wait() != 0:
                raise EOFError("zstd can't read it")
        finally:
            kill_group(process)
