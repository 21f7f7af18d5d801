"""What a format is, and which function writes which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from image_composer.disk.tools import ToolRunner
from image_composer.formats.raw import write_raw
from image_composer.spec.image import Output, OutputFormat


class OutputWriter(Protocol):
    """Writes a disk in one format. Equal disks give equal files."""

    def __call__(self, raw: Path, destination: Path, output: Output, *, tools: ToolRunner) -> Path:
        """Write one output.

        Args:
            raw: the raw disk; stays as it is.
            destination: file to make, replaced if there.
            output: format and compression.
            tools: runs the programs.

        Returns:
            The file written.

        Raises:
            DiskError: it can't be written.
            ToolError: a program is missing or failed.
        """


WRITERS: Mapping[OutputFormat, OutputWriter] = {OutputFormat.RAW: write_raw}
"""The writer of each format."""


def write_output(raw: Path, destination: Path, output: Output, *, tools: ToolRunner) -> Path:
    """Write one output; see `OutputWriter`."""
    return WRITERS[output.format](raw, destination, output, tools=tools)
