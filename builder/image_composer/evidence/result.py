"""result.json: what a build made, as the status of an ImageBuild and scripts read it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from image_composer.spec.base import Digest, ImageName, ImageVersion, SpecModel
from image_composer.spec.image import Target
from image_composer.spec.outputs import Compression, OutputFormat

RESULT_FILE = "result.json"
"""The file's name; a published folder that has it is one of ours."""

FileName = Annotated[str, StringConstraints(pattern=r"^[^/\x00]{1,255}$")]
"""Name of a file beside result.json."""


class Artifact(SpecModel):
    """One image file."""

    file: FileName
    format: OutputFormat
    compression: Compression
    size: int = Field(ge=0)
    """Bytes of the file."""

    sha256: Digest


class Document(SpecModel):
    """One file that attests the images."""

    kind: Literal["sbom", "lock", "provenance", "certificate", "verification", "spec", "checksums"]
    file: FileName
    sha256: Digest


class BuildResult(SpecModel):
    """What a build made. The artifacts are reproducible; this account of one run, with its times, is not."""

    result_version: Literal[1] = 1
    name: ImageName
    version: ImageVersion
    target: Target
    artifacts: list[Artifact] = Field(min_length=1)
    documents: list[Document]
    package_count: int = Field(ge=0)
    kernel_version: str
    """As `uname -r` says it in the running image."""

    disk_size: int = Field(ge=0)
    """Bytes of the disk that the image is for."""

    root_size: int = Field(ge=0)
    """Bytes of the files in the root, before file systems."""

    spec_digest: Digest
    """Digest of the normalised spec."""

    lock_digest: Digest
    """Digest of the lock's content: name, version, architecture and SHA-256 of each package."""

    source_date_epoch: int
    """Seconds since 1970 that all times in the image are set to."""

    builder_version: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    timings: dict[str, float]
    """Seconds by stage, in the order of finishing."""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file beside result.json, by name."""
        files: list[Artifact | Document] = [*self.artifacts, *self.documents]
        return {file.file: file.sha256 for file in files}
