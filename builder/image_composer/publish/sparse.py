"""Copies files with their holes, so that a disk image of many gigabytes takes only what is in it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path


def copy_sparse(source: Path, copy: Path) -> None:
    """Copy a file's content, leaving holes where the source has them.

    Raises:
        OSError: as reading and writing raise it; the copy may then be there in part.
    """
    with source.open("rb") as reading, copy.open("xb") as writing:
        size = os.fstat(reading.fileno()).st_size
        for start, end in _extents(reading.fileno(), size):
            os.lseek(writing.fileno(), start, os.SEEK_SET)
            _send(reading.fileno(), writing.fileno(), start, end)
        os.ftruncate(writing.fileno(), size)


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Give the ranges that hold data; all of it where the file system knows no holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def _send(reading: int, writing: int, start: int, end: int) -> None:
    while start < end:
        sent = os.sendfile(writing, reading, start, end - start)
        if sent == 0:  # the source became shorter meanwhile; the digest check tells
            return
        start += sent
