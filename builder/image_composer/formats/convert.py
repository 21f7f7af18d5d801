"""Conversion by qemu-img, which reads a raw disk without its holes."""

from __future__ import annotations

from pathlib import Path

from image_composer.disk.tools import ToolRunner


def convert(raw: Path, destination: Path, driver: str, options: str, *flags: str, tools: ToolRunner) -> None:
    """Convert a raw disk.

    Clusters are written in the disk's order (no `-W`), so that equal disks give equal places in the file.

    Args:
        raw: the raw disk.
        destination: file to make.
        driver: qemu's name of the format.
        options: qemu's options of the format, with commas between them.
        flags: further arguments of `qemu-img convert`.
        tools: runs qemu-img.

    Raises:
        ToolError: qemu-img is missing or failed.
    """
    # Absolute: in `name:path` qemu-img would take the name for a protocol.
    files = [raw.absolute(), destination.absolute()]
    tools.run(["qemu-img", "convert", "-q", *flags, "-f", "raw", "-O", driver, "-o", options, *files])
