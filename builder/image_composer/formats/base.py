"""What a format is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from image_composer.disk.identity import Identity
from image_composer.disk.tools import ToolRunner


@dataclass(frozen=True, slots=True)
class Stamp:
    """What formats with ids and times of their own are marked with."""

    identity: Identity
    """Of the image."""

    epoch: int
    """Time of the image in seconds since 1970."""


class FormatWriter(Protocol):
    """Writes a disk in one format, uncompressed. Equal disks with equal stamps give equal files."""

    def __call__(self, raw: Path, destination: Path, stamp: Stamp, *, tools: ToolRunner) -> None:
        """Write the disk.

        Args:
            raw: the raw disk; stays as it is.
            destination: file to make, which isn't there. Its name is the one that users see: some formats hold it.
            stamp: where ids and times come from.
            tools: runs the programs.

        Raises:
            DiskError: it can't be written.
            ToolError: a program is missing or failed.
        """
