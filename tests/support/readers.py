"""File systems of every kind that is read inside images, made from a folder as builds make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from image_composer.disk.readonly import make_erofs, make_squashfs
from image_composer.inspect.erofs import Erofs
from image_composer.inspect.ext4 import Ext4
from image_composer.inspect.files import Files
from image_composer.inspect.raw import open_raw
from image_composer.inspect.squashfs import Squashfs
from image_composer.run import Runner
from support.disks import EPOCH, IDENTITY, say


def _ext4(tree: Path, image: Path) -> None:
    say("mke2fs", "-q", "-t", "ext4", "-d", tree, image, "8M")


def _squashfs(tree: Path, image: Path, compression: str) -> None:
    make_squashfs(tree, image, compressions=[compression], epoch=EPOCH, jobs=1, tools=Runner())


def _erofs(tree: Path, image: Path, compression: str) -> None:
    uuid = IDENTITY.filesystem("root")
    make_erofs(tree, image, compressions=[compression], uuid=uuid, epoch=EPOCH, tools=Runner())


KINDS: Mapping[str, tuple[type[Files], Callable[[Path, Path], None]]] = {
    "ext4": (Ext4, _ext4),
    **{f"squashfs-{name}": (Squashfs, partial(_squashfs, compression=name)) for name in ("gzip", "lz4", "xz", "zstd")},
    **{f"erofs-{name}": (Erofs, partial(_erofs, compression=name)) for name in ("lz4", "none")},
}
"""What reads each kind, and what makes it."""


@contextmanager
def opened(kind: str, image: Path, offset: int = 0) -> Iterator[Files]:
    """Open a file system at an offset of an image."""
    with open_raw(image, Runner()) as raw:
        yield KINDS[kind][0](raw, offset)


def made(kind: str, tree: Path, image: Path, offset: int = 0) -> Path:
    """Make an image with a file system at an offset, and something after it."""
    KINDS[kind][1](tree, image)
    image.write_bytes(bytes(offset) + image.read_bytes() + b"x" * 4096)
    return image
