"""Which kinds of file systems can be read, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.inspect.erofs import Erofs
from image_composer.inspect.ext4 import Ext4
from image_composer.inspect.files import Files
from image_composer.inspect.model import PartitionFound
from image_composer.inspect.raw import RawImage
from image_composer.inspect.squashfs import Squashfs
from image_composer.spec.disk import Filesystem

READERS: Mapping[str, type[Files]] = {
    Filesystem.EXT4: Ext4,
    Filesystem.SQUASHFS: Squashfs,
    Filesystem.EROFS: Erofs,
}


def files_of(image: RawImage, partition: PartitionFound) -> Files | None:
    """Give a partition's files; None where no reader knows its file system."""
    reader = READERS.get(partition.filesystem or "")
    return reader(image, partition.start) if reader else None
