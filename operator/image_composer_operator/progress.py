"""The parts of a status that follow from Jobs and pods: stages, results, history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from image_composer.pod.message import PublishedResult
from image_composer.spec.destination import S3Destination
from image_composer.spec.location import object_uri
from image_composer_operator.containers import LOG, STEPS
from image_composer_operator.model import Plan
from image_composer_operator.observe import Container, Job, Pod, newest
from image_composer_operator.reasons import BuildOutcome, ConditionType, Reason, StageState
from image_composer_operator.status import (
    HISTORY_BUILDS,
    BuildStatus,
    FormerBuild,
    Stage,
    StoredArtifact,
    StoredDocument,
)

SKIPPED_NOTE = "already published"
"""How a stage's note begins when there was nothing to do."""


def new_run(status: BuildStatus, plan: Plan, builder_image: str) -> BuildStatus:
    """Give the status of a run that begins: the former one goes into the history."""
    former = former_build(status)
    return BuildStatus(
        conditions=status.conditions,
        stages=[Stage(name=name) for name in STEPS],
        job_name=plan.job,
        builder_image=builder_image,
        spec_digest=plan.spec_digest,
        content_digest=plan.content_digest,
        version=plan.spec.image.version,
        folder=object_uri(plan.destination, plan.folder),
        history=[*([former] if former else []), *status.history][:HISTORY_BUILDS],
    )


def former_build(status: BuildStatus) -> FormerBuild | None:
    """Give what is remembered of the run that a status speaks of."""
    ready = status.condition(ConditionType.READY)
    if status.job_name is None or ready is None:
        return None
    ended = {Reason.SUCCEEDED: BuildOutcome.SUCCEEDED, Reason.CANCELLED: BuildOutcome.CANCELLED}
    if status.result is not None:
        outcome = BuildOutcome.SUCCEEDED
    elif status.finished_at is None:
        outcome = BuildOutcome.SUPERSEDED
    else:
        outcome = ended.get(ready.reason, BuildOutcome.FAILED)
    return FormerBuild(
        generation=ready.observed_generation,
        version=status.version,
        content_digest=status.content_digest,
        result=outcome,
        reason=ready.reason if outcome is BuildOutcome.FAILED else None,
        folder=status.folder if outcome is BuildOutcome.SUCCEEDED else None,
        finished_at=status.finished_at,
    )


def observed(status: BuildStatus, job: Job, pods: Sequence[Pod]) -> BuildStatus:
    """Give a status with all that the pods of its run show, whatever came of them."""
    pod = newest(pods)
    at_work = bool(job.active) and pod is not None and pod.has_begun
    attempts = job.failed + (1 if at_work or job.succeeded else 0)
    changes: dict[str, Any] = {"attempts": max(attempts, status.attempts or 0) or None}
    if pod is not None:
        stages = [_stage(name, pod.container(name)) for name in STEPS]
        changes |= {"stages": stages, "stage": _current(stages)}
        begun = [container.started_at for container in pod.containers if container.started_at]
        if status.started_at is None and begun:
            changes["started_at"] = min(begun)
        image = next((container.image for container in pod.containers if container.image), None)
        # A digest where the runtime knows one: a tag may mean something else tomorrow.
        if image and "@sha256:" in image:
            changes["builder_image"] = image
    logs = [said.log for said in (_said(pod, LOG) for pod in sorted(pods, key=_age)) if said is not None and said.log]
    if logs:
        changes["log"] = logs[-1]
    return status.model_copy(update=changes)


def interrupted(status: BuildStatus, now: datetime) -> BuildStatus:
    """Give the status of a run that is being stopped: what ran has not come to its end."""
    stages = [
        stage.model_copy(update={"state": StageState.FAILED, "finished_at": now, "message": "stopped"})
        if stage.state is StageState.RUNNING
        else stage
        for stage in status.stages
    ]
    return status.model_copy(update={"stages": stages})


def published(status: BuildStatus, destination: S3Destination, folder: str, pod: Pod | None) -> BuildStatus:
    """Give a status with what a finished pod has published."""
    said = _said(pod, "publish")
    result = said.result if said else None
    if result is None:  # the pod is gone, or said more than the kubelet keeps: result.json tells the rest
        return status.model_copy(update={"result": StoredDocument(uri=f"{object_uri(destination, folder)}result.json")})
    attested = _said(pod, "attest")
    if not result.artifacts and attested:  # the last message had no room for them
        result = result.model_copy(update={"artifacts": attested.artifacts})
    return status.model_copy(update=_results(result))


def _results(result: PublishedResult) -> dict[str, Any]:
    folder = result.folder
    documents = {
        document.kind: StoredDocument(uri=f"{folder}{document.file}", sha256=document.sha256)
        for document in result.documents
    }
    return {
        "folder": folder,
        "artifacts": [
            StoredArtifact(
                format=artifact.format,
                compression=artifact.compression,
                uri=f"{folder}{artifact.file}",
                size=artifact.size,
                sha256=artifact.sha256,
            )
            for artifact in result.artifacts
        ],
        "sbom": documents.get("sbom"),
        "lock": documents.get("lock"),
        "provenance": documents.get("provenance"),
        "result": StoredDocument(uri=f"{folder}{result.result}"),
        "lock_digest": result.lock_digest,
        "kernel_version": result.kernel_version,
        "package_count": result.package_count,
        "reused": result.reused,
    }


def _stage(name: str, container: Container | None) -> Stage:
    if container is None or container.state == "waiting":
        return Stage(name=name)
    if container.state == "running":
        return Stage(name=name, state=StageState.RUNNING, started_at=container.started_at)
    said = container.said
    note = said.note if said else None
    state = StageState.SUCCEEDED
    if container.exit_code != 0:
        state = StageState.FAILED
        note = said.failure.message if said and said.failure else container.message or container.reason
    elif note and note.startswith(SKIPPED_NOTE):
        state = StageState.SKIPPED
    return Stage(
        name=name,
        state=state,
        started_at=container.started_at,
        finished_at=container.finished_at,
        message=note or None,
    )


def _current(stages: Sequence[Stage]) -> str | None:
    """Give the stage that runs, or else the last one that ran."""
    begun = [stage for stage in stages if stage.state is not StageState.PENDING]
    running = [stage for stage in begun if stage.state is StageState.RUNNING]
    return (running or begun)[-1].name if begun else None


def _said(pod: Pod | None, name: str) -> Any:
    container = pod.container(name) if pod else None
    return container.said if container else None


def _age(pod: Pod) -> tuple[Any, str]:
    return pod.created_at, pod.name
