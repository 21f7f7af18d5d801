"""An immutable root: its file system and the hashes over it, made before the disk is planned, which needs both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from image_composer.disk import ext4, ext4_size
from image_composer.disk.filesystems import filesystem_label
from image_composer.disk.immutable import hash_label
from image_composer.disk.labels import labels_by_partition
from image_composer.disk.readonly import make_erofs, make_squashfs
from image_composer.disk.verity import Verity, make_verity, verity_arguments
from image_composer.root.assemble import tree_folder
from image_composer.spec.disk import Filesystem, Partition, PartitionType
from image_composer.spec.trusted import Mutability
from image_composer.steps.assemble import sandbox
from image_composer.steps.build import Build
from image_composer.workspace import AssembledRoot


@dataclass(frozen=True, slots=True)
class VerityRoot:
    """A finished root with its hashes."""

    label: str
    filesystem: Filesystem
    images: Mapping[str, Path]
    """Image of the root and image of its hashes by the partition's label."""

    verity: Verity

    @property
    def uuids(self) -> dict[str, UUID]:
        """PARTUUIDs by label."""
        return {self.label: self.verity.data_uuid, hash_label(self.label): self.verity.hash_uuid}

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of the images by label."""
        return {label: image.stat().st_size for label, image in self.images.items()}

    def arguments(self) -> list[str]:
        """Give the kernel arguments that lead to the root."""
        return [*verity_arguments(self.verity), f"rootfstype={self.filesystem}"]


def make_verity_root(build: Build, assembled: AssembledRoot) -> VerityRoot | None:
    """Make the root of an immutable image; gives None for a mutable one.

    Raises:
        DiskError, ToolError: it can't be made.
    """
    if build.spec.image.mutability is Mutability.MUTABLE:
        return None
    partition = next(found for found in build.partitions if found.type is PartitionType.ROOT)
    box = sandbox(build, assembled.epoch)
    box.prepare("parts")
    image = build.workspace.part(partition.label)
    build.reporter.info(f"making the root: {partition.filesystem} and its hashes")
    _make_root(build, assembled, partition, image)
    hashes = build.workspace.part(hash_label(partition.label))
    verity = make_verity(
        image,
        hashes,
        salt=build.identity.salt(partition.label),
        uuid=build.identity.filesystem(hash_label(partition.label)),
        tools=box.tools(),
    )
    return VerityRoot(
        partition.label, partition.filesystem, {partition.label: image, hash_label(partition.label): hashes}, verity
    )


def _make_root(build: Build, assembled: AssembledRoot, partition: Partition, image: Path) -> None:
    box, tree = sandbox(build, assembled.epoch), tree_folder(build.workspace.folder, partition)
    # A manifest names some of the file systems only; for any other there is nothing.
    known = build.manifest.read_only_filesystems
    compressions = next((names for name, names in known.items() if name == partition.filesystem), [])
    uuid = build.identity.filesystem(partition.label)
    if partition.filesystem is Filesystem.SQUASHFS:
        make_squashfs(
            tree,
            image,
            compressions=compressions,
            epoch=assembled.epoch,
            jobs=build.settings.jobs,
            tools=box.tools(),
        )
        return
    if partition.filesystem is Filesystem.EROFS:
        make_erofs(tree, image, compressions=compressions, uuid=uuid, epoch=assembled.epoch, tools=box.tools())
        return
    measured = assembled.trees[partition.label]
    usage = ext4_size.TreeUsage(measured.blocks, measured.inodes)
    parameters = ext4.Ext4Parameters(
        size=ext4_size.size_needed(usage),
        uuid=uuid,
        hash_seed=build.identity.hash_seed(partition.label),
        label=filesystem_label(partition.filesystem, partition.label),
        epoch=assembled.epoch,
        root_mode=measured.mode,
        root_owner=(measured.uid, measured.gid),
        labels=labels_by_partition(assembled.selinux_labels, build.partitions)[partition.label],
    )
    ext4.make_ext4(tree, image, parameters, usage, tools=box.tools())
