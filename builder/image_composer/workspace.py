"""The workspace: the one folder that stages read from and write to. Every file of it has its name here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import Base64Bytes, BaseModel, Field, ValidationError

from image_composer.digest import pretty_json
from image_composer.errors import ComposerError
from image_composer.spec.base import SpecModel
from image_composer.spec.destination import S3Destination, S3Server
from image_composer.spec.image import ImageSpec
from image_composer.spec.location import image_digest

Model = TypeVar("Model", bound=BaseModel)

PUBLISHED_FILE = "published.json"


class NormalisedSpec(SpecModel):
    """spec.json: the user's spec with all defaults filled in."""

    path: str
    """Where the spec stands in the user's document, for messages: `spec.image`, or nothing."""

    image: ImageSpec

    def digest(self) -> str:
        """Give the digest that stands for the spec."""
        return image_digest(self.image)

    def field(self, name: str) -> str:
        """Give the path of a field in the user's document."""
        return f"{self.path}.{name}" if self.path else name


class PublishPlace(SpecModel):
    """destination.json: where in a bucket the results go; written when the document names one."""

    s3: S3Destination
    namespace: str
    name: str
    """Of the ImageBuild."""

    folder: str | None = None
    """Beginning of the keys, with a slash at its end; unknown while the image's spec is wrong."""


class InputServer(SpecModel):
    """input-server.json: where `s3://` addresses of the image are; written when there are any and the document says."""

    s3: S3Server
    own: bool
    """Whether the document names it for them, with credentials of its own; it is the destination's otherwise."""


class SignedInputs(SpecModel):
    """signed-inputs.json: addresses that whoever has them can read for some hours, so that `fetch` has no credentials.

    It lies there between `preflight`, which signs, and the end of `fetch`, which takes it away.
    """

    addresses: dict[str, str]
    """By the path of the field, for example `files[3]`."""

    authorities: str | None = None
    """Certificates (PEM) that the server's is checked against, instead of the public authorities."""


class FetchedPackages(SpecModel):
    """fetch.json: which file of `packages/` is which package, and the time that the newest was built for."""

    files: dict[str, str]
    newest: int
    """Seconds since 1970."""


class TreeSize(SpecModel):
    """What a partition's content takes up in a file system."""

    blocks: int
    inodes: int
    mode: int = 0o755
    """Permissions of its top folder."""

    uid: int = 0
    gid: int = 0


class AssembledRoot(SpecModel):
    """assemble.json: what the image stage needs to know of the root."""

    kernel_version: str
    epoch: int
    """Time of the image in seconds since 1970."""

    trees: dict[str, TreeSize]
    """By partition label."""

    selinux_labels: dict[str, str] = Field(default_factory=dict)
    """SELinux's label by path of the root; empty when there are none."""


class PlannedFile(SpecModel):
    """A file of the EFI system partition that is made later."""

    destination: str
    """Path from the top of the partition."""

    source: str | None = None
    """Path in the workspace of its content; what it holds is in `content` when absent."""

    content: Base64Bytes = b""


class PlannedEsp(SpecModel):
    """The EFI system partition of a disk that is signed: empty until `attest`, which has the key, fills it."""

    offset: int
    size: int
    uuid: str
    label: str
    files: list[PlannedFile]


class FinishedDisk(SpecModel):
    """disk.json: what the image stage made."""

    disk_size: int
    root_size: int
    esp: PlannedEsp | None = None
    """What is still to be made, when the disk is to be signed."""
    uuids: dict[str, UUID] = Field(default_factory=dict)
    """PARTUUIDs by partition label."""


class FinishedImages(SpecModel):
    """images.json: the files that the disk is delivered as."""

    files: list[str]
    """Names in `images/`, in the order of the spec's outputs."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace folder."""

    folder: Path

    @property
    def spec(self) -> Path:
        """The normalised spec."""
        return self.folder / "spec.json"

    @property
    def destination(self) -> Path:
        """Where in a bucket the results go."""
        return self.folder / "destination.json"

    @property
    def input_server(self) -> Path:
        """Where `s3://` addresses of the image are."""
        return self.folder / "input-server.json"

    @property
    def signed_inputs(self) -> Path:
        """Pre-signed addresses of what the image takes from there: secrets while they are valid."""
        return self.folder / "signed-inputs.json"

    @property
    def published(self) -> Path:
        """What lies there: written by `publish`, or before the build when there is nothing left to build."""
        return self.folder / PUBLISHED_FILE

    @property
    def lock(self) -> Path:
        """The lock."""
        return self.folder / "lock.json"

    @property
    def packages(self) -> Path:
        """The package files."""
        return self.folder / "packages"

    @property
    def fetched(self) -> Path:
        """What is in `packages`."""
        return self.folder / "fetch.json"

    def input(self, path: str) -> Path:
        """Give the file that holds what a field of the document is downloaded from; `files[3]` is `inputs/files.3`."""
        return self.folder / "inputs" / path.replace("[", ".").rstrip("]")

    @property
    def root(self) -> Path:
        """The root that is assembled."""
        return self.folder / "root"

    @property
    def boot(self) -> Path:
        """Kernel, initramfs, stub and boot loader."""
        return self.folder / "boot"

    @property
    def uki(self) -> Path:
        """The unified kernel image, before it is signed."""
        return self.boot / "uki.efi"

    @property
    def assembled(self) -> Path:
        """What is known of the root."""
        return self.folder / "assemble.json"

    @property
    def parts(self) -> Path:
        """The images of the partitions."""
        return self.folder / "parts"

    def part(self, label: str) -> Path:
        """Give the image of a partition."""
        return self.parts / f"{label}.img"

    @property
    def disk(self) -> Path:
        """The raw disk. It lies where the outputs are, so that they can share its blocks."""
        return self.folder / "disk.raw"

    @property
    def signed(self) -> Path:
        """The programs that start the machine, signed for Secure Boot, under their names in `boot`."""
        return self.folder / "signed"

    def bootable(self, name: str) -> Path:
        """Give a file of `boot` as it is delivered: the signed one where it is signed."""
        signed = self.signed / name
        return signed if signed.exists() else self.boot / name

    @property
    def finished_disk(self) -> Path:
        """What is known of the disk."""
        return self.folder / "disk.json"

    @property
    def images(self) -> Path:
        """The finished images."""
        return self.folder / "images"

    @property
    def finished(self) -> Path:
        """What is in `images`."""
        return self.folder / "images.json"

    @property
    def evidence(self) -> Path:
        """SBOM, lock, checksums."""
        return self.folder / "evidence"

    @property
    def verdict(self) -> Path:
        """What was checked of the finished images."""
        return self.folder / "verify.json"

    @property
    def console_log(self) -> Path:
        """What the image's console said when it was started."""
        return self.folder / "console.log"

    def write(self, path: Path, model: BaseModel) -> None:
        """Write a model to a file, whole or not at all."""
        self.write_text(path, pretty_json(model.model_dump(mode="json", by_alias=True)))

    def write_text(self, path: Path, text: str) -> None:
        """Write a text to a file, whole or not at all."""
        unfinished = path.with_name(f".{path.name}.part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)

    def read(self, path: Path, model: type[Model]) -> Model:
        """Read a model that an earlier stage wrote.

        Raises:
            ComposerError: WORKSPACE_INCOMPLETE.
        """
        try:
            content: Any = json.loads(path.read_bytes())
            return model.model_validate(content)
        except (OSError, ValueError, ValidationError) as error:
            raise ComposerError(
                "WORKSPACE_INCOMPLETE",
                f"{path.name} is missing from the workspace {self.folder} or damaged: {error}",
                hint="run the stages in order: 'image-composer stage --help' lists them",
            ) from error
