"""How a build runs in a cluster: its pod, its patience, where it may work and what it may use.

Every field may be absent: then the operator's own default counts, so that a platform team decides once.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from image_composer.spec.base import AbsolutePath, Duration, Flag, Number, SpecModel
from image_composer.spec.destination import ObjectName

StageName = Literal["validate", "resolve", "fetch", "assemble", "image", "attest", "verify", "publish"]
"""A stage of the pipeline; each is a container."""

STAGE_NAMES: tuple[StageName, ...] = get_args(StageName)
"""The stages in their order."""

AffinityKind = Literal["nodeAffinity", "podAffinity", "podAntiAffinity"]
"""What a pod is drawn to, or kept from."""


def _written(amount: object) -> object:
    """Give a whole number as text: `cpu: 2` is what everybody writes."""
    return str(amount) if isinstance(amount, int) and not isinstance(amount, bool) else amount


_QUANTITY: dict[str, Any] = {"pattern": r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$", "maxLength": 18}

Quantity = Annotated[
    str,
    StringConstraints(pattern=_QUANTITY["pattern"], max_length=_QUANTITY["maxLength"]),
    BeforeValidator(_written),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 10**12 - 1}, {"type": "string", **_QUANTITY}]}
    ),
]
"""An amount as Kubernetes writes it: `500m`, `2`, `4Gi`."""

LabelKey = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$", max_length=317),
]
"""Key of a label."""

LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$", max_length=63)
]
"""Value of a label."""

_FACTORS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9)}
_FACTORS |= {
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


def parse_quantity(text: str) -> Decimal:
    """Give the amount that a `Quantity` stands for."""
    number = text.rstrip("mkMGTi")
    return Decimal(number) * _FACTORS[text[len(number) :]]


class ResourceAmounts(SpecModel):
    """Amounts of what a node has."""

    cpu: Quantity | None = None
    """Processors."""

    memory: Quantity | None = None
    """Memory."""

    ephemeral_storage: Quantity | None = None
    """Disk of the node."""


class StageResources(SpecModel):
    """What the container of a stage gets."""

    requests: ResourceAmounts = ResourceAmounts()
    """What the scheduler sets aside."""

    limits: ResourceAmounts = ResourceAmounts()
    """What it may not go beyond."""


class Medium(StrEnum):
    """What the workspace lies on."""

    DISK = "disk"
    MEMORY = "memory"


class EphemeralVolume(SpecModel):
    """A volume of its own for each pod, made by the cluster's storage and gone with the pod."""

    storage_class_name: ObjectName | None = None
    """Storage class; the cluster's default when absent."""


class WorkspaceVolume(SpecModel):
    """Where a build works."""

    size: Quantity | None = None
    """How much it may hold: a pod that goes beyond is evicted."""

    medium: Medium | None = None
    """`disk`: the node's; `memory`: faster, and counts as memory of the stages."""

    ephemeral_volume: EphemeralVolume | None = None
    """Work on a volume of the cluster's storage instead of the node's disk."""


class CacheVolume(SpecModel):
    """Where packages are kept between builds; exactly one of the two."""

    persistent_volume_claim: ObjectName | None = None
    """Claim in the namespace of the ImageBuild; ReadWriteMany where builds run on several nodes."""

    host_path: AbsolutePath | None = None
    """Folder of the node, made when it is missing."""


class Toleration(SpecModel):
    """A taint of nodes that the pod puts up with, as in a pod's spec."""

    key: LabelKey | None = None
    """Key of the taint; every key when absent, together with `Exists`."""

    operator: Literal["Exists", "Equal"] = "Equal"
    """Whether the taint's value counts."""

    value: LabelValue | None = None
    """Value of the taint."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect when absent."""

    toleration_seconds: Annotated[Number, Field(ge=0, le=86400)] | None = None
    """How long the pod stays once a `NoExecute` taint is there; for good when absent."""


class BuildSettings(SpecModel):
    """How the build runs in the cluster."""

    timeout: Duration | None = None
    """How long the build may take, all tries together."""

    retries: Annotated[Number, Field(ge=0, le=10)] | None = None
    """Further tries after a failure that is not the user's; a disruption, such as a drained node, doesn't count."""

    resources: dict[StageName, StageResources] = Field(default_factory=dict, max_length=8)
    """Requests and limits by stage."""

    workspace: WorkspaceVolume | None = None
    """Where it works."""

    cache: CacheVolume | None = None
    """Where packages are kept between builds."""

    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=32)
    """Labels that the node must have."""

    tolerations: list[Toleration] = Field(default_factory=list, max_length=32)
    """Taints of nodes that the pod puts up with."""

    affinity: Annotated[dict[AffinityKind, dict[str, Any]], Field(max_length=3)] | None = None
    """Affinity as in a pod's spec."""

    priority_class_name: ObjectName | None = None
    """Priority class of the pod."""

    runtime_class_name: ObjectName | None = None
    """Runtime class of the pod."""

    service_account_name: ObjectName | None = None
    """Service account whose cloud identity the pod has; its token for the cluster is not mounted."""

    image_pull_secrets: list[ObjectName] = Field(default_factory=list, max_length=8)
    """Secrets for pulling the builder's image."""

    queue_name: LabelValue | None = None
    """Local queue of Kueue that the Job waits in."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=32)
    """Labels put on the Job and its pods."""

    force: Flag = False
    """Build again although the same spec is published already; the new result gets a folder of its own."""
