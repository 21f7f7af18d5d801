"""Puts a disk together from its partition table and the images of its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from image_composer.disk.gpt import write_table
from image_composer.disk.layout import DiskLayout, exact_size
from image_composer.disk.sparse import copy_sparse, explained
from image_composer.disk.tools import ToolRunner
from image_composer.errors import DiskError


def write_disk(
    layout: DiskLayout,
    images: Mapping[str, Path],
    destination: Path,
    *,
    boot_code: bytes | None = None,
    tools: ToolRunner,
) -> None:
    """Write a whole disk image. Holes of the partition images stay holes.

    Args:
        layout: where everything goes.
        images: image of each partition by its label; a partition without one stays empty.
        destination: file to make, replaced if there. It appears complete or not at all.
        boot_code: what a BIOS runs; goes before the partition table of old in the first sector.
        tools: runs the programs.

    Raises:
        DiskError: DISK_PARTITION_TOO_LARGE, an image is larger than its partition, or DISK_WRITE_FAILED.
        ToolError: sfdisk is missing or failed.
    """
    unfinished = destination.with_name(f"{destination.name}.part")
    with explained(unfinished):
        try:
            write_table(layout, unfinished, tools=tools)
            if boot_code is not None:
                with unfinished.open("r+b") as disk:
                    disk.write(boot_code)
            for planned in layout.partitions:
                image = images.get(planned.label)
                if image is not None:
                    _check_fits(image, planned.size, planned.label)
                    copy_sparse(image, unfinished, planned.offset)
            unfinished.replace(destination)
        finally:
            unfinished.unlink(missing_ok=True)


def _check_fits(image: Path, size: int, label: str) -> None:
    actual = image.stat().st_size
    if actual > size:
        message = f"the image {image} has {actual} bytes, more than the {exact_size(size)} of the partition {label}"
        raise DiskError("DISK_PARTITION_TOO_LARGE", message)
