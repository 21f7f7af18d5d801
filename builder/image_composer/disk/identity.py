"""Every id in an image, derived from what the image is made of, so that two builds of one thing are equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import NAMESPACE_DNS, UUID, uuid5

NAMESPACE = uuid5(NAMESPACE_DNS, "imagecomposer.dev")
"""Namespace of all our ids. Changing it changes every image."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The ids of one image.

    Args:
        digest: SHA-256 over everything that decides about the content, in hex.
    """

    digest: str

    lasting: Mapping[str, str] = field(default_factory=dict)
    """Digests instead of that one, by the label of a partition: it outlives the image's version, which still has to
    find it and its file system."""

    def uuid(self, role: str) -> UUID:
        """Give the UUID that something has by its role, for example `partition/root`."""
        return uuid5(NAMESPACE, f"{self.digest}/{role}")

    def disk(self) -> UUID:
        """Give the GUID of the partition table."""
        return self.uuid("disk")

    def partition(self, label: str) -> UUID:
        """Give the GUID of a partition, which Linux calls PARTUUID."""
        return self._of_partition("partition", label)

    def filesystem(self, label: str) -> UUID:
        """Give the UUID of the file system in a partition."""
        return self._of_partition("filesystem", label)

    def hash_seed(self, label: str) -> UUID:
        """Give the seed that ext4 hashes names of a partition's folders with."""
        return self.uuid(f"hash-seed/{label}")

    def salt(self, label: str) -> str:
        """Give what dm-verity hashes before each block of a partition: 32 bytes in hex."""
        return self.uuid(f"salt/{label}/a").hex + self.uuid(f"salt/{label}/b").hex

    def fat_id(self, label: str) -> str:
        """Give the serial number of the FAT in a partition: 8 hex digits in upper case."""
        return f"{self.filesystem(label).int >> 96:08X}"

    def _of_partition(self, role: str, label: str) -> UUID:
        """Give the UUID of what may outlive the image's version."""
        return uuid5(NAMESPACE, f"{self.lasting.get(label, self.digest)}/{role}/{label}")
