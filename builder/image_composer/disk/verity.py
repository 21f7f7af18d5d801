"""dm-verity: hashes over a file system that never changes, so that the kernel refuses any block that has.

The tree of hashes lies in a partition of its own. Its top, the root hash, stands in the kernel's command line, and the
ids of both partitions are its halves, as the Discoverable Partitions Specification has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from image_composer.disk.rounding import divide_up
from image_composer.disk.tools import ToolRunner

BLOCK = 4096
"""Bytes of a block of data and of a block of hashes: the page size, which every kernel can check."""

DIGEST = 32
"""Bytes of a SHA-256."""

DEVICE = "/dev/mapper/root"
"""What systemd-veritysetup calls a root that it checks."""


@dataclass(frozen=True, slots=True)
class Verity:
    """The hashes of one file system."""

    root_hash: str
    """64 hex digits, lower case."""

    size: int
    """Bytes of the file of hashes."""

    @property
    def data_uuid(self) -> UUID:
        """PARTUUID of the partition with the data."""
        return UUID(hex=self.root_hash[:32])

    @property
    def hash_uuid(self) -> UUID:
        """PARTUUID of the partition with the hashes."""
        return UUID(hex=self.root_hash[32:])


def hashes_size(size: int) -> int:
    """Give the bytes of the hashes of a file system of some size: a superblock, and a tree of 128 hashes a block."""
    blocks, level = 1, divide_up(size, BLOCK)
    while level > 1:
        level = divide_up(level, BLOCK // DIGEST)
        blocks += level
    return blocks * BLOCK


def make_verity(data: Path, hashes: Path, *, salt: str, uuid: UUID, tools: ToolRunner) -> Verity:
    """Make the hashes of a file system's image.

    Args:
        data: the image; whole blocks.
        hashes: file to make, replaced if there.
        salt: hashed before each block, in hex: equal blocks of different images have different hashes.
        uuid: id of the hashes' superblock.
        tools: runs veritysetup.

    Raises:
        ToolError: veritysetup is missing or failed.
    """
    hashes.unlink(missing_ok=True)
    top = hashes.with_name(f"{hashes.name}.roothash")
    top.unlink(missing_ok=True)
    options = (f"--salt={salt}", f"--uuid={uuid}", "--hash=sha256", "--format=1")
    sizes = (f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}")
    tools.run(["veritysetup", "format", data, hashes, *options, *sizes, f"--root-hash-file={top}"])
    root_hash = top.read_text().strip()
    top.unlink()
    return Verity(root_hash, hashes.stat().st_size)


def verity_arguments(verity: Verity) -> list[str]:
    """Give the kernel arguments by which systemd's initramfs finds and checks the root.

    A block that does not fit stops the machine at once: going on without it would be going on with something else.
    """
    return [
        f"root={DEVICE}",
        f"roothash={verity.root_hash}",
        f"systemd.verity_root_data=PARTUUID={verity.data_uuid}",
        f"systemd.verity_root_hash=PARTUUID={verity.hash_uuid}",
        "systemd.verity_root_options=panic-on-corruption",
    ]
