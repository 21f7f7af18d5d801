"""Words of a status: types of conditions, reasons, states of stages, outcomes, each with what it means."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Meaning(StrEnum):
    """Names that stand in the status, each with what it means, for the reference and `kubectl explain`."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        """Make a member that equals its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = member.__doc__ = meaning
        return member


class ConditionType(Meaning):
    """What a condition is about. Ready, Reconciling and Stalled mean what kstatus says they mean."""

    READY = "Ready", "True once the image that the spec asks for is published; False until then, and when it failed."
    RECONCILING = "Reconciling", "True while a build is queued or runs; absent otherwise."
    STALLED = "Stalled", "True when nothing will happen before somebody changes something; absent otherwise."
    VALIDATED = "Validated", "Whether the spec can be built, as the operator and the builder's first stage found."


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(Meaning):
    """Why a condition is as it is."""

    QUEUED = "Queued", "The Job exists or is about to; its pod does not run yet."
    RUNNING = "Running", "The builder pod works."
    SUCCEEDED = "Succeeded", "The image is published."
    INVALID_SPEC = "InvalidSpec", "The spec can't be built; the message names each field. Change the spec."
    MISSING_SECRET = (
        "MissingSecret",
        "A Secret that the build needs, or a key in it, is not there; continues once it is.",
    )
    MISSING_LOCK = "MissingLock", "The ConfigMap of lockRef, or the key in it, is not there; continues once it is."
    MISSING_BASE = (
        "MissingBase",
        "A ConfigMap (or the key in it) or an ImageBuild that the image extends is not there; continues once it is.",
    )
    MISSING_CONFIG_MAP = (
        "MissingConfigMap",
        "A ConfigMap that a file or script comes from, or the key in it, is not there; continues once it is.",
    )
    NAMESPACE_NOT_ALLOWED = (
        "NamespaceNotAllowed",
        "The namespace has no label imagecomposer.dev/builds=allowed; continues once it has.",
    )
    QUOTA_EXCEEDED = "QuotaExceeded", "The namespace's quota has no room for the pod; continues once it has."
    POD_SECURITY_FORBIDDEN = (
        "PodSecurityForbidden",
        "The namespace's Pod Security level doesn't allow the builder pod; it must be `privileged`.",
    )
    UNSCHEDULABLE = "Unschedulable", "No node has room for the pod or fits its selectors; continues once one does."
    IMAGE_PULL_FAILED = "ImagePullFailed", "The builder's container image can't be pulled; the kubelet keeps trying."
    CONTAINER_CONFIG_ERROR = (
        "ContainerConfigError",
        "The kubelet can't make a container as the pod asks; it keeps trying.",
    )
    VOLUME_FAILED = "VolumeFailed", "A volume of the pod can't be mounted; the kubelet keeps trying."
    RESOLUTION_FAILED = "ResolutionFailed", "The packages asked for can't be had together; the message says which."
    REPOSITORY_FAILED = "RepositoryFailed", "A package repository did not answer, or not as it should."
    SIGNATURE_INVALID = "SignatureInvalid", "A repository's signature or a file's digest is wrong; nothing was built."
    INPUT_FAILED = (
        "InputFailed",
        "A file, script, tree or artifact is not what the spec says, or can't be asked for; the message names it.",
    )
    BUILD_FAILED = "BuildFailed", "A stage failed; the message says which one and why."
    SIGNING_FAILED = (
        "SigningFailed",
        "The key for Secure Boot can't sign: encrypted, damaged, or not that of the certificate. Correct the Secret.",
    )
    OUT_OF_MEMORY = "OutOfMemory", "A stage needed more memory than its limit; raise it in build.resources."
    EVICTED = "Evicted", "The pod used more disk or memory than it may; raise its limits or its workspace."
    DEADLINE_EXCEEDED = "DeadlineExceeded", "The build took longer than build.timeout."
    PUBLISH_FAILED = (
        "PublishFailed",
        "The results could not be stored; nothing that readers take for complete is there.",
    )
    CANCELLED = "Cancelled", "The build was ended by spec.cancel."
    SUSPENDED = "Suspended", "The build waits until spec.suspend is taken back."
    DELETING = "Deleting", "The ImageBuild is being deleted; its published objects go first when retention says so."
    RETRYING = "Retrying", "A try failed for a reason that may pass; the next one follows."
    DISRUPTED = (
        "Disrupted",
        "The pod was taken away, for example with its node; the next one follows and counts as none.",
    )


class StageState(Meaning):
    """How far a stage is."""

    PENDING = "Pending", "It has not begun."
    RUNNING = "Running", "It runs."
    SUCCEEDED = "Succeeded", "It has done its work."
    FAILED = "Failed", "It has failed; its message says why."
    SKIPPED = "Skipped", "There was nothing to do for it, since the result is published already."


class BuildOutcome(Meaning):
    """How a former build ended."""

    SUCCEEDED = "Succeeded", "Its image is published."
    FAILED = "Failed", "It failed; the reason says why."
    CANCELLED = "Cancelled", "It was ended by spec.cancel."
    SUPERSEDED = "Superseded", "The spec changed while it ran."
