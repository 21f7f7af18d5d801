"""Compressing a finished file: equal files give equal results, whatever the number of processors."""

from __future__ import annotations

from pathlib import Path

from image_composer.disk.tools import ToolRunner
from image_composer.formats.gzip import write_gzip
from image_composer.settings import MIB
from image_composer.spec.outputs import Compression

ZSTD_LEVEL = 3
"""zstd's default: ten times as fast as gzip and smaller; higher levels cost minutes for a few per cent."""

XZ_LEVEL = 3
"""Several times as fast as the default for a few per cent; the default takes minutes for a root of some hundred MiB."""

XZ_BLOCK = 24 * MIB
"""Bytes that one thread compresses at a time, six times the window of that level. Given by us, so that it can't depend
on the machine."""


def compress(plain: Path, destination: Path, compression: Compression, *, tools: ToolRunner, threads: int) -> None:
    """Compress a file.

    Args:
        plain: file to read; stays as it is.
        destination: file to make, which isn't there; its folder holds nothing else.
        compression: how; not `none`.
        tools: runs the programs.
        threads: processors that may be used.

    Raises:
        OSError: it can't be written.
        ToolError: a program is missing or failed.
    """
    match compression:
        case Compression.ZSTD:
            # The number of threads does not change what zstd writes.
            level = f"-{ZSTD_LEVEL}"
            tools.run(["zstd", "--quiet", "--no-progress", f"-T{threads}", level, "-o", destination, plain])
        case Compression.XZ:
            _xz(plain, destination, tools, threads)
        case Compression.GZIP:
            write_gzip(plain, destination, threads)
        case Compression.NONE:
            raise ValueError("nothing to compress")


def _xz(plain: Path, destination: Path, tools: ToolRunner, threads: int) -> None:
    """Let xz write beside a link to the file, since it knows no other way to say where its output goes."""
    link = destination.with_name("plain")
    link.symlink_to(plain.absolute())
    # With one thread xz writes another form, so there are two at least; --force makes it follow the link.
    options = [f"-{XZ_LEVEL}", "--keep", "--force", f"--threads={max(2, threads)}", f"--block-size={XZ_BLOCK}"]
    tools.run(["xz", "--quiet", *options, "--", link.absolute()])
    link.with_name("plain.xz").replace(destination)
    link.unlink()
