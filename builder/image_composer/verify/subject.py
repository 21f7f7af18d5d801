"""What checks look at: the finished disk, read as a stranger would, and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from image_composer.inspect.esp import list_files, read_program
from image_composer.inspect.files import Files
from image_composer.inspect.magic import UNMADE
from image_composer.inspect.model import PartitionFound, ProgramFound, UkiFound
from image_composer.inspect.owners import DPKG_INFO, dpkg_files, through_links
from image_composer.inspect.raw import RawImage
from image_composer.inspect.readers import READERS, files_of
from image_composer.inspect.rpmdb import DATABASES, rpm_files
from image_composer.inspect.table import read_table
from image_composer.inspect.tree import Node
from image_composer.manifest import Family
from image_composer.repository.lock import Lock
from image_composer.spec.disk import PartitionType
from image_composer.spec.image import ImageSpec
from image_composer.verify.initramfs import unpacked_initrd


@dataclass(frozen=True, slots=True)
class Found:
    """A file, folder or link of the image's tree."""

    place: Files
    inside: str
    """Its path in its file system."""

    node: Node


@dataclass(frozen=True)
class Subject:
    """A finished disk. What is read of it is read once, when a check asks for it.

    Everything that reads raises InspectError when it can't.
    """

    image: RawImage
    spec: ImageSpec
    family: Family
    mounts: Mapping[str, str]
    """Mount point by partition label, as the spec or the distribution has it."""

    lock: Lock
    sbom: Mapping[str, Any]
    files: Mapping[str, int]
    """Bytes of the files that are delivered, by name."""

    host_paths: Sequence[str]
    """Folders of the builder, which mean nothing elsewhere."""

    secrets: Mapping[str, str]
    """What the builder's environment holds that nobody may see, by variable."""

    scratch: Path
    """Folder for what programs need as a file."""

    jobs: int

    @cached_property
    def partitions(self) -> list[PartitionFound]:
        """The partitions."""
        return read_table(self.image)[2]

    def partition(self, role: PartitionType) -> PartitionFound | None:
        """Give the first partition of a role."""
        return next((found for found in self.partitions if found.role == role), None)

    def read(self, partition: PartitionFound, offset: int, size: int) -> bytes:
        """Read bytes of a partition."""
        return self.image.read(partition.start + offset, max(0, min(size, partition.size - offset)))

    @cached_property
    def boot_files(self) -> list[str]:
        """Paths on the EFI system partition."""
        esp = self.partition(PartitionType.ESP)
        return [] if esp is None else list_files(self.image, esp.start)

    @cached_property
    def programs(self) -> list[tuple[ProgramFound, UkiFound | None]]:
        """EFI programs on it, each with what it says about itself when it is a unified kernel image."""
        esp = self.partition(PartitionType.ESP)
        paths = [path for path in self.boot_files if path.lower().endswith(".efi")]
        return [] if esp is None else [read_program(self.image, esp.start, path) for path in paths]

    @property
    def ukis(self) -> list[UkiFound]:
        """Unified kernel images on it."""
        return [uki for _, uki in self.programs if uki is not None]

    def mount_of(self, partition: PartitionFound) -> str | None:
        """Give where a partition is mounted; by its type where its label is not the spec's, as that of a slot is."""
        by_role = {PartitionType.ROOT.value: "/", PartitionType.VAR.value: "/var"}
        known = partition.filesystem is not None
        return self.mounts.get(partition.label) or (by_role.get(partition.role or "") if known else None)

    @cached_property
    def unreadable(self) -> list[str]:
        """What of the image's tree can't be listed: `root (xfs)`."""
        mounted = {self.mount_of(partition): partition for partition in self.partitions}
        return [
            *([] if "/" in mounted else ["the root"]),
            *(
                f"{partition.label} ({partition.filesystem})"
                for mount, partition in mounted.items()
                if mount is not None and partition.filesystem not in (*READERS, "vfat", UNMADE)
            ),
        ]

    @cached_property
    def tree(self) -> dict[str, Found]:
        """Everything in the image's tree by its path there, as it is once all partitions are mounted."""
        found: dict[str, Found] = {}
        for partition in sorted(self.partitions, key=lambda each: self.mount_of(each) or ""):
            mount, place = self.mount_of(partition), files_of(self.image, partition)
            if mount is None or place is None:
                continue
            prefix = mount.rstrip("/")
            found |= {prefix + path: Found(place, path, node) for path, node in place.tree().items()}
        return found

    def text(self, path: str) -> str | None:
        """Give a text file's content; None when it is not there."""
        found = self.tree.get(path)
        if found is None or not found.node.is_file:
            return None
        return self.contents([path])[path].decode("utf-8", "replace")

    def contents(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Give the contents of regular files that are there, by path."""
        by_place: dict[int, list[str]] = {}
        for path in paths:
            by_place.setdefault(self.tree[path].place.offset, []).append(path)
        read: dict[str, bytes] = {}
        for those in by_place.values():
            inside = self.tree[those[0]].place.contents(
                {self.tree[path].inside: self.tree[path].node for path in those}
            )
            read |= {path: inside[self.tree[path].inside] for path in those}
        return read

    @cached_property
    def owned(self) -> frozenset[str]:
        """Paths that packages brought, as the image's own package database says."""
        links = {path for path, found in self.tree.items() if found.node.is_link and path.count("/") == 1}
        if self.family is Family.DEB:
            lists = [path for path in self.tree if path.startswith(DPKG_INFO) and path.endswith(".list")]
            brought = dpkg_files(self.contents(lists).values())
        else:
            database = next((path for path in DATABASES if path in self.tree), None)
            brought = rpm_files(self.contents([database])[database], database) if database else frozenset()
        return frozenset(through_links(path, links) for path in brought)

    @cached_property
    def loose(self) -> dict[str, Found]:
        """What no package brought."""
        return {path: found for path, found in self.tree.items() if path not in self.owned}

    @cached_property
    def loose_contents(self) -> dict[str, bytes]:
        """Contents of the files that no package brought, but for very large ones."""
        files = [
            path for path, there in self.loose.items() if there.node.is_file and there.node.size <= there.place.cheap
        ]
        return self.contents(files)

    @cached_property
    def initrds(self) -> dict[str, bytes]:
        """Contents of the initramfs of every unified kernel image, by that one's path."""
        esp = self.partition(PartitionType.ESP)
        return {} if esp is None else {uki.path: unpacked_initrd(self.image, esp.start, uki.path) for uki in self.ukis}
