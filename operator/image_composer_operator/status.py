"""What an ImageBuild's status says, for people, kubectl, Flux, Argo CD and the operator itself.

The operator keeps no state elsewhere. What an older or newer operator wrote is read as far as it is understood; the
limits are the CRD's: a status that a model takes is one that the API server takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from image_composer.spec.base import Digest
from image_composer_operator.reasons import BuildOutcome, ConditionStatus, ConditionType, Reason, StageState

MESSAGE_CHARACTERS = 4096
"""Longest message of a condition: as much as a container can say at its end."""

NOTE_CHARACTERS = 1024
"""Longest message of one stage: a dozen of them must not make objects heavy, which every watcher receives."""

HISTORY_BUILDS = 5
"""Former builds that the status remembers."""


def _cut(limit: int) -> BeforeValidator:
    """Keep texts that come from elsewhere (builders, kubelets) within what the API server takes."""
    return BeforeValidator(
        lambda text: f"{text[: limit - 1]}…" if isinstance(text, str) and len(text) > limit else text
    )


def _whole_seconds(moment: datetime) -> datetime:
    """Give a time as Kubernetes keeps times, so that what is read equals what was written."""
    return moment.astimezone(UTC).replace(microsecond=0)


Timestamp = Annotated[AwareDatetime, AfterValidator(_whole_seconds)]
"""A moment, to the second, in UTC."""

Message = Annotated[str, StringConstraints(max_length=MESSAGE_CHARACTERS), _cut(MESSAGE_CHARACTERS)]
"""Sentences for people; cut where they are too long."""

Note = Annotated[str, StringConstraints(max_length=NOTE_CHARACTERS), _cut(NOTE_CHARACTERS)]
"""A sentence about a stage; cut where it is too long."""

Word = Annotated[str, StringConstraints(max_length=64)]
"""A name from a short list that a newer builder may have made longer."""

Name = Annotated[str, StringConstraints(max_length=253)]
"""Name of a Kubernetes object."""

Uri = Annotated[str, StringConstraints(max_length=2048)]
"""Where an object lies: `s3://bucket/key`."""

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""How many, or how large in bytes; the limit is where JSON readers, the API server among them, begin to round."""


class StatusModel(BaseModel):
    """A part of the status: unknown fields, which another version wrote, are left out; values don't change."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def as_json(self) -> dict[str, Any]:
        """Give what is stored: camelCase, absent where there is nothing to say."""
        return self.model_dump(mode="json", exclude_none=True)


class Condition(StatusModel):
    """One aspect of the build's state, as in every Kubernetes object."""

    type: ConditionType
    """What it is about."""

    status: ConditionStatus
    """True, False or Unknown."""

    reason: Reason
    """Why, as one word for programs."""

    message: Message = ""
    """Why, as a sentence for people."""

    last_transition_time: Timestamp
    """When `status` changed last."""

    observed_generation: Count
    """Generation of the spec that it speaks of."""


class Stage(StatusModel):
    """One container of the builder pod, as far as the newest pod has come."""

    name: Word
    """Name of the container."""

    state: StageState = StageState.PENDING
    """How far it is."""

    started_at: Timestamp | None = None
    """When it began."""

    finished_at: Timestamp | None = None
    """When it ended."""

    message: Note | None = None
    """What it did, or why it failed."""


class StoredArtifact(StatusModel):
    """One published image file."""

    format: Word
    """Format of the file."""

    compression: Word
    """How it is compressed, or `none`."""

    uri: Uri
    """Where it lies."""

    size: Count
    """Bytes of the file."""

    sha256: Digest
    """SHA-256 of the file."""


class StoredDocument(StatusModel):
    """One published file beside the images."""

    uri: Uri
    """Where it lies."""

    sha256: Digest | None = None
    """SHA-256 of the file, where it is known."""


class FormerBuild(StatusModel):
    """How a former build ended."""

    generation: Count
    """Generation of the spec that was built."""

    version: Word | None = None
    """Version of the image."""

    content_digest: Digest | None = None
    """What was built."""

    result: BuildOutcome
    """How it ended."""

    reason: Reason | None = None
    """Why it ended so."""

    folder: Uri | None = None
    """Where its results lie."""

    finished_at: Timestamp | None = None
    """When it ended."""


class BuildStatus(StatusModel):
    """What became of the build, written by the operator."""

    observed_generation: Count | None = None
    """Generation of the spec that the status speaks of."""

    conditions: list[Condition] = Field(default_factory=list, max_length=8)
    """Ready, Reconciling, Stalled and Validated, as kstatus reads them."""

    stage: Word | None = None
    """The stage that runs, or the last one that ran."""

    stages: list[Stage] = Field(default_factory=list, max_length=16)
    """The stages in their order."""

    attempts: Count | None = None
    """Pods that were started for this build."""

    job_name: Name | None = None
    """The Job that builds, or built."""

    builder_image: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Container image that builds, by digest once that is known."""

    spec_digest: Digest | None = None
    """SHA-256 of the image's spec with all defaults filled in."""

    lock_digest: Digest | None = None
    """SHA-256 of the lock file: of exactly which packages the image is made."""

    content_digest: Digest | None = None
    """What is built: the same for builds that share one folder."""

    version: Word | None = None
    """Version of the image."""

    folder: Uri | None = None
    """Where everything lies, with a slash at its end."""

    artifacts: list[StoredArtifact] = Field(default_factory=list, max_length=16)
    """The published image files."""

    sbom: StoredDocument | None = None
    """The software bill of materials."""

    lock: StoredDocument | None = None
    """The lock file, which lockRef takes back."""

    provenance: StoredDocument | None = None
    """From what and by what the images were made: an in-toto statement with SLSA's predicate."""

    result: StoredDocument | None = None
    """result.json: everything about the build; stored last, so that its presence means that all is there."""

    log: Uri | None = None
    """The build log of the newest try that could upload one."""

    kernel_version: Annotated[str, StringConstraints(max_length=128)] | None = None
    """As `uname -r` says it in the running image."""

    package_count: Count | None = None
    """Packages in the image."""

    started_at: Timestamp | None = None
    """When the first pod of the build began to run."""

    finished_at: Timestamp | None = None
    """When the build ended."""

    reused: bool | None = None
    """Whether the same was published before, and nothing had to be built."""

    history: list[FormerBuild] = Field(default_factory=list, max_length=HISTORY_BUILDS)
    """Former builds, the newest first."""

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> BuildStatus:
        """Read what is stored, leaving out the fields that another version wrote in a way unknown here.

        A status is worked out anew all the time: what can't be read must not keep the operator from writing it.
        """
        try:
            return cls.model_validate(stored or {})
        except ValidationError as error:
            unreadable = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
        return cls.model_validate({name: value for name, value in (stored or {}).items() if name not in unreadable})

    def condition(self, kind: ConditionType) -> Condition | None:
        """Give a condition, if it is there."""
        return next((condition for condition in self.conditions if condition.type is kind), None)
