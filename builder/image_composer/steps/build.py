"""What the steps of one build share: where it happens, and what may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from image_composer.digest import bytes_sha256
from image_composer.disk.grub import grub_partitions
from image_composer.disk.identity import Identity
from image_composer.disk.immutable import immutable_partitions
from image_composer.disk.shares import with_whole_sizes
from image_composer.manifest import ArchitectureFacts, Manifest
from image_composer.provider import Provider, find_manifest
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.run import Runner
from image_composer.settings import Settings
from image_composer.spec.base import parse_size
from image_composer.spec.disk import Partition, PartitionType
from image_composer.spec.layers.compose import Address, Surroundings
from image_composer.spec.trusted import Mutability
from image_composer.steps.bases import Bases
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader
from image_composer.workspace import NormalisedSpec, PublishPlace, Workspace


@dataclass(frozen=True)
class Build:
    """One build. What earlier stages found out is read from the workspace when it is asked for."""

    workspace: Workspace
    settings: Settings
    reporter: Reporter
    runner: Runner
    providers: Mapping[str, Provider]
    started_at: datetime
    """When the build began; the only clock that steps know."""

    host_os_release: Mapping[str, str]
    host_sources: Mapping[str, str]
    """The host's package manager configuration, by path, for its mirrors."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    """Variables of the composer's environment whose values nobody else is to see; no image may hold one."""

    document: bytes | None = None
    document_name: str = ""
    document_folder: Path | None = None
    """Folder of the document, where what it builds on is looked for."""

    variables: Mapping[str, str] = field(default_factory=dict)
    """Values of the document's variables that count before its own."""

    given_lock: Path | None = None
    """A lock to build exactly, instead of resolving."""

    stands_alone: bool = False
    """Whether what a document only names, a lock or a key in the cluster, must come with it: the build is for real, and
    nobody here can ask the cluster."""

    destination: Path | None = None
    """Folder to publish to, whatever the document says."""

    default_destination: Path | None = None
    """Folder to publish to when the document names no place."""

    @property
    def surroundings(self) -> Surroundings:
        """What the document may need beside itself."""
        if self.document_folder is None:
            return Surroundings(values=self.variables)
        bases = Bases(self.document_folder, self.settings.inputs)
        return Surroundings(bases.load, Address("file", self.document_name), self.variables)

    @cached_property
    def spec(self) -> NormalisedSpec:
        """The spec, once validated."""
        return self.workspace.read(self.workspace.spec, NormalisedSpec)

    @property
    def place(self) -> PublishPlace | Path | None:
        """Where the results go, once validated: into a bucket or a folder."""
        if self.destination is None and self.workspace.destination.exists():
            place = self.workspace.read(self.workspace.destination, PublishPlace)
            return place.model_copy(update={"folder": self.settings.folder or place.folder})
        return self.destination or self.default_destination

    @cached_property
    def target(self) -> tuple[Provider, Manifest, ArchitectureFacts]:
        """Provider, manifest and the architecture's facts."""
        return find_manifest(self.providers, self.spec.image, self.spec.field("target"))

    @property
    def manifest(self) -> Manifest:
        """The manifest of the target."""
        return self.target[1]

    @cached_property
    def lock(self) -> Lock:
        """The lock, once resolved."""
        return self.workspace.read(self.workspace.lock, Lock)

    @cached_property
    def identity(self) -> Identity:
        """Where all ids of the image come from: what it is made of and what was asked for.

        What an update leaves where it is has its ids of the image's name alone: all versions look for the same.
        """
        image, lasting = self.spec.image, {}
        if image.immutable.update is not None:
            name = bytes_sha256(f"every version of {image.name}".encode())
            replaced = (PartitionType.ROOT, PartitionType.ROOT_VERITY)
            lasting = {found.label: name for found in self.partitions if found.type not in replaced}
        return Identity(bytes_sha256(f"{self.spec.digest()} {self.lock.content_digest()}".encode()), lasting)

    @property
    def partitions(self) -> list[Partition]:
        """The disk's partitions: the user's, or the distribution's default, and what an immutable root or GRUB adds."""
        spec = self.spec.image
        size = parse_size(spec.disk.size) if spec.disk.size else None
        given = with_whole_sizes(spec.disk.partitions or self.manifest.partitions, size)
        if spec.mutability is Mutability.IMMUTABLE:
            return immutable_partitions(given, second_slot=spec.immutable.update is not None)
        return grub_partitions(given, spec.boot_loader, own=bool(spec.disk.partitions))

    @cached_property
    def store(self) -> ContentStore:
        """The cache."""
        return ContentStore(self.settings.cache_dir, self.settings.cache_bytes)

    @cached_property
    def downloader(self) -> Downloader:
        """What reaches the network."""
        return Downloader(self.settings, self.reporter)
