"""Layers: a folder as a tar that depends on nothing but its content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.disk.tools import ToolRunner

TAR_OPTIONS = (
    "--create",
    "--format=posix",
    # Access and change times are different each time, and so is the process id in the default name of extended headers.
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--sort=name",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=security.capability",
)

OURS = ("--owner=0", "--group=0", "--mode=u=rwX,go=rX")
"""Owner and mode of files that we made, whoever we are and whatever our umask."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished layer. It is not compressed, so that its digest is also that of its content (`diff_id`)."""

    path: Path
    digest: str
    """SHA-256 of the file."""

    size: int
    epoch: int
    """The latest time in it, in seconds since 1970."""

    comment: str
    """What it holds, for the image's history."""


def write_layer(
    folder: Path, target: Path, *, epoch: int, comment: str, tools: ToolRunner, as_it_is: bool = False
) -> Layer:
    """Write the content of a folder as a layer.

    Args:
        folder: its entries become those of the image's root.
        target: the file to write.
        epoch: times later than this are set to it.
        comment: what it holds.
        tools: runs tar, where ids are what they shall be in the image.
        as_it_is: keep owners and modes. Otherwise all belongs to root and everybody may read it.
    """
    ownership = () if as_it_is else OURS
    times = (f"--mtime=@{epoch}", "--clamp-mtime")
    names = sorted(path.name for path in folder.iterdir())
    tools.run(["tar", *TAR_OPTIONS, *times, *ownership, f"--file={target}", f"--directory={folder}", "--", *names])
    return Layer(target, file_sha256(target), target.stat().st_size, epoch, comment)
