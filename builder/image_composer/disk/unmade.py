"""A partition whose file system the machine makes at its first boot: all that is in it is a mark that says so.

The mark is what the machine goes by. An empty place would not do: whoever writes an image to a disk may leave holes
out, and then something old would lie there; and a place that holds something is never to be made anew.
"""

from __future__ import annotations

from pathlib import Path

from image_composer.disk.sparse import explained

MARK = "imagecomposer.dev: unmade partition"
"""The partition's first bytes."""

_BLOCK = 4096
"""Bytes that are written: what even disks with large sectors write whole."""


def make_unmade(image: Path) -> None:
    """Write what such a partition begins with.

    Raises:
        DiskError: DISK_WRITE_FAILED.
    """
    with explained(image):
        image.write_bytes(MARK.encode().ljust(_BLOCK, b"\0"))
