"""Partition type GUIDs and attribute bits of the Discoverable Partitions Specification.

https://uapi-group.org/specifications/specs/discoverable_partitions_specification/
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from image_composer.spec.disk import PartitionType
from image_composer.spec.image import Architecture

ATTRIBUTE_GROW_FILESYSTEM = 59
"""The file system is grown to the partition's size when it is mounted."""

ATTRIBUTE_READ_ONLY = 60
"""The partition is mounted read-only."""

ATTRIBUTE_NO_AUTO = 63
"""The partition is not mounted automatically."""

ROOT_TYPES: Mapping[Architecture, UUID] = {
    Architecture.X86_64: UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
    Architecture.AARCH64: UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),
}
"""The root's type names the architecture, so that firmware for one never starts the root of another."""

ROOT_VERITY_TYPES: Mapping[Architecture, UUID] = {
    Architecture.X86_64: UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
    Architecture.AARCH64: UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820"),
}
"""The hashes of the root."""

SHARED_TYPES: Mapping[PartitionType, UUID] = {
    PartitionType.ESP: UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    PartitionType.HOME: UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915"),
    PartitionType.SRV: UUID("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"),
    PartitionType.VAR: UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
    PartitionType.LINUX: UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    PartitionType.SWAP: UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
    # Not of that specification, but GRUB's own; its bytes spell "Hah!IdontNeedEFI".
    PartitionType.BIOS_BOOT: UUID("21686148-6449-6e6f-744e-656564454649"),
}
"""Types that are the same on every architecture."""


def type_guid(partition_type: PartitionType, architecture: Architecture) -> UUID:
    """Give the type GUID of a partition."""
    if partition_type is PartitionType.ROOT:
        return ROOT_TYPES[architecture]
    if partition_type is PartitionType.ROOT_VERITY:
        return ROOT_VERITY_TYPES[architecture]
    return SHARED_TYPES[partition_type]
