"""What a container of a builder pod says at its end, in its termination message.

The kubelet keeps 12 KiB of all of a pod's messages, and of each its share: these are compact, and what doesn't fit is
in result.json.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CONTAINERS = 11
"""Most containers of a builder pod: the stages, preflight, the log's, and the one that prepares a workspace."""

MESSAGE_BYTES = 12 * 1024 // CONTAINERS
"""What the kubelet keeps of one container's message: it divides 12 KiB among them, and cuts what is longer."""

TOLD = frozenset({"sbom", "lock", "provenance"})
"""Documents that a status has a place for."""


class MessageModel(BaseModel):
    """A part of a message: a newer builder may say more than an older operator knows."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
        frozen=True,
    )


class Failure(MessageModel):
    """Why a container failed."""

    code: str
    """Stable, upper case, for example SOLVE_CONFLICT."""

    message: str
    """A sentence; may have further lines, and is cut where it is too long."""

    hint: str | None = None
    retryable: bool = False


class PublishedArtifact(MessageModel):
    """An image file in the bucket."""

    format: str
    compression: str
    file: str
    """Name below the folder."""

    size: int
    sha256: str


class PublishedDocument(MessageModel):
    """A file that attests the images."""

    kind: str
    """sbom, lock, checksums ..."""

    file: str
    sha256: str


class PublishedResult(MessageModel):
    """What lies in the bucket, as result.json there says it."""

    folder: str
    """URI of the folder, with a slash at its end."""

    result: str
    """Name of result.json below the folder."""

    result_sha256: str | None = None
    """Digest of result.json."""

    artifacts: list[PublishedArtifact] = Field(default_factory=list)
    documents: list[PublishedDocument] = Field(default_factory=list)
    spec_digest: str | None = None
    lock_digest: str
    package_count: int
    kernel_version: str
    builder_version: str | None = None
    reused: bool = False
    """Whether it had been published before, and nothing was built."""

    def brief(self) -> PublishedResult:
        """Give it without what an operator doesn't ask for: messages are short."""
        documents = [document for document in self.documents if document.kind in TOLD]
        unasked = {"result_sha256": None, "spec_digest": None, "builder_version": None}
        return self.model_copy(update={"documents": documents, **unasked})


class StageMessage(MessageModel):
    """The message of one container."""

    v: Literal[1] = 1
    stage: str
    """Name of the container."""

    ok: bool
    failure: Failure | None = None
    """Why not, when it is not ok."""

    note: str | None = None
    """A sentence about what was done, for example `169 packages, 75 MB`."""

    artifacts: list[PublishedArtifact] = Field(default_factory=list)
    """attest: the image files, since `result` may have no room for them."""

    result: PublishedResult | None = None
    """publish: what was published."""

    log: str | None = None
    """log: URI of the uploaded build log."""
