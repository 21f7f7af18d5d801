"""The raw disk: the bytes of the device themselves."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.disk.tools import ToolRunner
from image_composer.formats.base import Stamp

_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
"""What link answers when the two places can't share a file."""


def write_raw(raw: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:  # noqa: ARG001 - a FormatWriter
    """Share the disk's blocks, or copy it where that can't be; see `FormatWriter`. Nobody may write to it then."""
    try:
        os.link(raw, destination)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        create_sparse(destination, raw.stat().st_size)
        copy_sparse(raw, destination)
