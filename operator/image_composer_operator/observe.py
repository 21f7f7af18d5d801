"""What Jobs and pods say, read into what decisions need. Pure: objects of the API in, small values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from image_composer.pod.message import StageMessage
from image_composer_operator.model import Body, parse_time
from image_composer_operator.names import (
    ANNOTATION_GENERATION,
    ANNOTATION_RUN,
    LABEL_JOB,
    LABEL_ROLE,
    LABEL_UID,
    ROLE_CLEANUP,
)


class JobEnd(StrEnum):
    """How a Job ended."""

    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of ours."""

    name: str
    uid: str
    owner_uid: str
    """The ImageBuild that it is for."""

    run_digest: str
    generation: int
    """Of the ImageBuild's spec that it was made for."""

    is_cleanup: bool
    created_at: datetime
    deleting: bool
    suspended: bool
    """By Kueue: the operator never suspends a Job itself."""

    active: int
    failed: int
    succeeded: int
    ending: bool
    """Whether the Job controller has decided upon its end, for which pods may still be waited."""

    end: JobEnd | None
    end_reason: str
    """The Job controller's word, for example DeadlineExceeded."""

    end_message: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a builder pod: a stage, or a helper of ours."""

    name: str
    state: str
    """`waiting`, `running` or `terminated`."""

    reason: str
    message: str
    """The kubelet's, while it waits; the termination message, once it has ended."""

    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None
    image: str

    @property
    def said(self) -> StageMessage | None:
        """What it said at its end, if it came to say something."""
        if self.state != "terminated" or not self.message.startswith("{"):
            return None
        try:
            return StageMessage.model_validate_json(self.message)
        except ValidationError:
            return None


@dataclass(frozen=True, slots=True)
class Pod:
    """A builder pod."""

    name: str
    uid: str
    job: str
    created_at: datetime
    deleting: bool
    phase: str
    reason: str
    """Why the kubelet ended the pod as a whole, for example Evicted."""

    message: str
    scheduled: bool
    unschedulable: str
    """The scheduler's sentence, when no node will do."""

    disrupted: str
    """The sentence of condition DisruptionTarget, when the pod was taken away."""

    containers: tuple[Container, ...]
    """In the order in which they run."""

    @property
    def ended(self) -> bool:
        """Whether it will do nothing more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def has_begun(self) -> bool:
        """Whether any container has run."""
        return any(container.state != "waiting" for container in self.containers)

    def container(self, name: str) -> Container | None:
        """Give the container of that name."""
        return next((container for container in self.containers if container.name == name), None)


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning that the cluster posted about a Job or a pod, as an Event."""

    reason: str
    message: str
    at: datetime


def read_job(body: Body) -> Job:
    """Read a Job of the API."""
    metadata, status = body["metadata"], body.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    true = {each["type"]: each for each in status.get("conditions") or () if each["status"] == "True"}
    # FailureTarget and SuccessCriteriaMet come first, while pods are still ending: only these two are the end.
    end: Mapping[str, Any] = next((true[kind] for kind in JobEnd if kind in true), {})
    return Job(
        name=metadata["name"],
        uid=metadata["uid"],
        owner_uid=labels.get(LABEL_UID, ""),
        run_digest=annotations.get(ANNOTATION_RUN, ""),
        generation=int(annotations.get(ANNOTATION_GENERATION) or 0),
        is_cleanup=labels.get(LABEL_ROLE) == ROLE_CLEANUP,
        created_at=parse_time(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        suspended=bool(body.get("spec", {}).get("suspend")),
        active=status.get("active") or 0,
        failed=status.get("failed") or 0,
        succeeded=status.get("succeeded") or 0,
        ending=not true.keys().isdisjoint(("FailureTarget", "SuccessCriteriaMet")),
        end=JobEnd(end["type"]) if end else None,
        end_reason=end.get("reason", ""),
        end_message=end.get("message", ""),
        ended_at=_time(end.get("lastTransitionTime")),
    )


def read_pod(body: Body) -> Pod:
    """Read a pod of the API."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    scheduled, disrupted = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    statuses = {
        container["name"]: container
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in status.get(kind) or ()
    }
    names = [container["name"] for kind in ("initContainers", "containers") for container in spec.get(kind) or ()]
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        job=(metadata.get("labels") or {}).get(LABEL_JOB, ""),
        created_at=parse_time(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        scheduled=scheduled.get("status") == "True",
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        disrupted=disrupted.get("message", "") or disrupted.get("reason", "")
        if disrupted.get("status") == "True"
        else "",
        containers=tuple(_container(name, statuses.get(name, {})) for name in names),
    )


def has_worked(body: Body) -> bool:
    """Say whether a pod's main container has ended, or all of the pod."""
    status = body.get("status") or {}
    ended = any("terminated" in (each.get("state") or {}) for each in status.get("containerStatuses") or ())
    return ended or status.get("phase") in ("Succeeded", "Failed")


def newest(pods: Iterable[Pod]) -> Pod | None:
    """Give the pod of the newest try."""
    return max(pods, key=lambda pod: (pod.created_at, pod.name), default=None)


def _container(name: str, status: Mapping[str, Any]) -> Container:
    states = status.get("state") or {"waiting": {}}
    state, details = next(iter(states.items()))
    return Container(
        name=name,
        state=state,
        reason=details.get("reason", ""),
        message=details.get("message", ""),
        exit_code=details.get("exitCode"),
        started_at=_time(details.get("startedAt")),
        finished_at=_time(details.get("finishedAt")),
        image=status.get("imageID") or "",
    )


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
