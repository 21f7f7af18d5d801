"""The raw disk, as it is or compressed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from image_composer.disk.sparse import copy_sparse, create_sparse, explained
from image_composer.disk.tools import ToolRunner
from image_composer.spec.image import Compression, Output

ZSTD_LEVEL = 3
"""zstd's default: ten times as fast as gzip and smaller; higher levels cost minutes for a few per cent."""

_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
"""What link answers when the two places can't share a file."""


def write_raw(raw: Path, destination: Path, output: Output, *, tools: ToolRunner) -> Path:
    """Write the raw disk, compressed or not. Uncompressed, it shares the disk's blocks where it can.

    Args:
        raw: the raw disk; not to be written to afterwards.
        destination: file to make, replaced if there. It appears complete or not at all.
        output: says how it is compressed.
        tools: runs the programs.

    Raises:
        DiskError: DISK_WRITE_FAILED.
        ToolError: zstd is missing or failed.
    """
    unfinished = destination.with_name(f"{destination.name}.part")
    with explained(unfinished):
        unfinished.unlink(missing_ok=True)
        try:
            if output.compression is Compression.ZSTD:
                _compress(raw, unfinished, tools)
            else:
                _share(raw, unfinished)
            unfinished.replace(destination)
        finally:
            unfinished.unlink(missing_ok=True)
    return destination


def _compress(raw: Path, destination: Path, tools: ToolRunner) -> None:
    # The number of threads does not change what zstd writes.
    tools.run(["zstd", "--quiet", "--no-progress", "-T0", f"-{ZSTD_LEVEL}", "-o", destination, raw])


def _share(raw: Path, destination: Path) -> None:
    try:
        os.link(raw, destination)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        create_sparse(destination, raw.stat().st_size)
        copy_sparse(raw, destination)
