"""File systems that are only ever read, made from a folder: squashfs and erofs. Equal folders give equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from image_composer.disk.rounding import round_up
from image_composer.disk.tools import ToolRunner
from image_composer.disk.verity import BLOCK

ZSTD_LEVEL = 3
"""Within a few percent of the size of mksquashfs's default, 15, in a thirtieth of its time."""

PREFERRED = ("zstd", "lz4", "gzip", "xz", "lzo")
"""Compressions of squashfs, those first that are quick to write and to read."""


def make_squashfs(
    tree: Path, image: Path, *, compressions: Sequence[str], epoch: int, jobs: int, tools: ToolRunner
) -> None:
    """Make a squashfs that holds a tree; owners are those that the program sees, times the tree's.

    Args:
        tree: folder whose content it gets.
        image: file to make, replaced if there; whole blocks of dm-verity.
        compressions: those that the kernel can read.
        epoch: seconds since 1970: when it was made.
        jobs: processors to use; the bytes don't depend on it.
        tools: runs mksquashfs.

    Raises:
        ToolError: mksquashfs is missing or failed.
    """
    image.unlink(missing_ok=True)
    compression = next(name for name in PREFERRED if name in compressions)
    level = ("-Xcompression-level", str(ZSTD_LEVEL)) if compression == "zstd" else ()
    words = ["mksquashfs", tree, image, "-noappend", "-no-progress", "-quiet", "-comp", compression, *level]
    tools.run([*words, "-processors", str(jobs)], env={"SOURCE_DATE_EPOCH": str(epoch)})
    _fill_up(image)


def make_erofs(
    tree: Path, image: Path, *, compressions: Sequence[str], uuid: UUID, epoch: int, tools: ToolRunner
) -> None:
    """Make an erofs that holds a tree; owners are those that the program sees, times the tree's.

    Args:
        tree: folder whose content it gets.
        image: file to make, replaced if there; whole blocks of dm-verity.
        compressions: those that the kernel can read; nothing is compressed when LZ4 is not among them.
        uuid: the file system's id.
        epoch: seconds since 1970: when it was made.
        tools: runs mkfs.erofs.

    Raises:
        ToolError: mkfs.erofs is missing or failed.
    """
    image.unlink(missing_ok=True)
    compressed = ["-zlz4"] if "lz4" in compressions else []
    tools.run(["mkfs.erofs", "--quiet", "-T", str(epoch), "-U", str(uuid), *compressed, image, tree])
    _fill_up(image)


def _fill_up(image: Path) -> None:
    with image.open("r+b") as stream:
        stream.truncate(round_up(image.stat().st_size, BLOCK))
