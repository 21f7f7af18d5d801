"""Recognises disk image formats and file systems by their first bytes."""

from __future__ import annotations

from image_composer.disk.unmade import MARK

SNIFFED_SIZE = 68 * 1024
"""Bytes from the start that recognition needs: btrfs has its magic the deepest, at 64 KiB and 64 bytes."""

UNMADE = "unmade"
"""What a partition holds whose file system is made at the first boot."""

_CONTAINERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd-dynamic"),
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "the description of a vmdk in other files"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0x8001, b"CD001", "iso"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"BZh", "bzip2"),
    (0, b"PK\x03\x04", "zip"),
    (257, b"ustar", "tar"),
)
"""Offset, magic and name of what an image may be wrapped in."""

_FILESYSTEMS: tuple[tuple[int, bytes, str], ...] = (
    (82, b"FAT32   ", "vfat"),
    (54, b"FAT1", "vfat"),
    (0, MARK.encode(), UNMADE),
    (0, b"XFSB", "xfs"),
    (0, b"hsqs", "squashfs"),
    (0, b"verity\0\0", "verity"),
    (0, b"LUKS\xba\xbe", "luks"),
    (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (1080, b"\x53\xef", "ext4"),
    (4086, b"SWAPSPACE2", "swap"),
    (65600, b"_BHRfS_M", "btrfs"),
)
"""Offset, magic and name of what a partition may hold."""


def container(head: bytes) -> str | None:
    """Give the format of a file that is not the bytes of a disk themselves."""
    return _recognise(_CONTAINERS, head)


def filesystem(head: bytes) -> str | None:
    """Give what a partition holds; ext2 and ext3 count as ext4, whose tools read them."""
    return _recognise(_FILESYSTEMS, head)


def _recognise(table: tuple[tuple[int, bytes, str], ...], head: bytes) -> str | None:
    for offset, magic, name in table:
        if head[offset : offset + len(magic)] == magic:
            return name
    return None
