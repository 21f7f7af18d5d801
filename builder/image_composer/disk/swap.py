"""Makes swap space: a header with ids that are given, and nothing behind it.

Written by ourselves because mkswap wants its file without holes. The header is `union swap_header` of the kernel's
include/linux/swap.h.
"""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

from image_composer.disk.sparse import create_sparse, explained

PAGE = 4096
"""Bytes of a page: that of every kernel we know of, aarch64's too."""

SIGNATURE = b"SWAPSPACE2"
"""The last bytes of the first page."""

_HEADER = struct.Struct("<1024x3I16s16s")
"""Room for a boot loader, version, last page, number of bad pages, UUID, label; of little-endian machines."""

_VERSION = 1


def make_swap(image: Path, size: int, *, uuid: UUID, label: str) -> None:
    """Make swap space that fills a partition.

    Args:
        image: file to make, replaced if there.
        size: bytes of the partition.
        uuid: its id.
        label: its label; 15 characters.

    Raises:
        DiskError: DISK_WRITE_FAILED.
    """
    image.unlink(missing_ok=True)
    create_sparse(image, size)
    with explained(image), image.open("r+b") as stream:
        stream.write(swap_header(size, uuid=uuid, label=label))


def swap_header(size: int, *, uuid: UUID, label: str) -> bytes:
    """Give the first page."""
    header = _HEADER.pack(_VERSION, size // PAGE - 1, 0, uuid.bytes, label.encode())
    return header + bytes(PAGE - len(header) - len(SIGNATURE)) + SIGNATURE


def swap_pages(header: bytes) -> int | None:
    """Give how many pages a swap space says that it has; None when the first page is no header of one."""
    if len(header) < PAGE or header[PAGE - len(SIGNATURE) : PAGE] != SIGNATURE:
        return None
    version, last, bad, _, _ = _HEADER.unpack_from(header)
    return last + 1 if version == _VERSION and bad == 0 else None
