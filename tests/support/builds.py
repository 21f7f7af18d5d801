"""ImageBuilds, Jobs and pods as the API gives them, for tests of what the operator makes of them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from image_composer.errors import SpecError
from image_composer_operator.actions import Decision, View
from image_composer_operator.containers import STEPS
from image_composer_operator.decide import decide
from image_composer_operator.job import build_job
from image_composer_operator.model import Plan, make_plan, read_build
from image_composer_operator.observe import read_job, read_pod
from image_composer_operator.settings import Defaults, OperatorSettings

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
UID = "5b1d3c1e-0000-4000-8000-000000000001"
S3 = {"s3": {"bucket": "images", "prefix": "edge", "endpoint": "http://s3.example:9000"}}
SETTINGS = OperatorSettings(builder_image="registry.example/builder:1")

Body = dict[str, Any]


def stamp(seconds: float = 0) -> str:
    """Give a time some seconds after NOW, as the API writes it."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def image(**changes: Any) -> Body:
    """Give the spec of an image."""
    target = {"distribution": "debian", "release": "12"}
    return {"name": "edge", "version": "1.0.0", "target": target, "packages": ["chrony"], **changes}


def build(*, generation: int = 1, status: Body | None = None, metadata: Body | None = None, **spec: Any) -> Body:
    """Give an ImageBuild."""
    return {
        "apiVersion": "imagecomposer.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {
            "name": "edge",
            "namespace": "images",
            "uid": UID,
            "generation": generation,
            "resourceVersion": "100",
            "creationTimestamp": stamp(-5),
            **(metadata or {}),
        },
        "spec": {"image": image(), "destination": S3, **spec},
        **({"status": status} if status else {}),
    }


def plan_of(body: Body, lock: str | None = None) -> Plan:
    """Give the plan of an ImageBuild with a valid spec."""
    return make_plan(read_build(body), Defaults(), lock)


def job(body: Body, **status: Any) -> Body:
    """Give the Job that the operator makes for an ImageBuild, as it is in the cluster."""
    made = copy.deepcopy(build_job(read_build(body), plan_of(body), SETTINGS))
    uid = f"job-{made['metadata']['name']}"
    made["metadata"] |= {"uid": uid, "resourceVersion": "101", "creationTimestamp": stamp()}
    made["status"] = status
    return made


def ended(body: Body, kind: str, reason: str = "", message: str = "", **status: Any) -> Body:
    """Give the Job of an ImageBuild after its end."""
    condition = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": stamp(60)}
    return job(body, conditions=[condition], **status)


def pod(
    of: Body,
    states: Body | None = None,
    *,
    name: str = "pod-1",
    seconds: float = 1,
    phase: str = "Pending",
    **more: Any,
) -> Body:
    """Give a pod of a Job.

    Args:
        of: the Job.
        states: of containers by name, as in their statuses' `state`; the others have not begun.
        name: of the pod.
        seconds: after NOW, when it was made.
        phase: of the pod.
        more: further fields of its status; `metadata` is merged into its metadata.
    """
    template = copy.deepcopy(of["spec"]["template"])
    metadata = {
        **template["metadata"],
        "name": name,
        "namespace": of["metadata"]["namespace"],
        "uid": f"uid-{name}",
        "resourceVersion": "102",
        "creationTimestamp": stamp(seconds),
        **more.pop("metadata", {}),
    }
    metadata["labels"]["batch.kubernetes.io/job-name"] = of["metadata"]["name"]
    waiting = {"waiting": {"reason": "PodInitializing"}}

    def statuses(kind: str) -> list[Body]:
        return [
            {"name": each["name"], "state": (states or {}).get(each["name"], waiting), "imageID": "sha256:1"}
            for each in template["spec"][kind]
        ]

    conditions = [{"type": "PodScheduled", "status": "True"}]
    status = {
        "phase": phase,
        "conditions": conditions,
        "initContainerStatuses": statuses("initContainers"),
        "containerStatuses": statuses("containers"),
        **more,
    }
    return {"metadata": metadata, "spec": template["spec"], "status": status}


def running(seconds: float = 2) -> Body:
    """Give the state of a container that runs."""
    return {"running": {"startedAt": stamp(seconds)}}


def done(exit_code: int = 0, message: Any = None, *, reason: str = "", start: float = 2, end: float = 4) -> Body:
    """Give the state of a container that has ended; a message that is no text is written as JSON."""
    text = message if isinstance(message, str) else json.dumps(message) if message is not None else ""
    word = reason or ("Completed" if exit_code == 0 else "Error")
    times = {"startedAt": stamp(start), "finishedAt": stamp(end)}
    return {"terminated": {"exitCode": exit_code, "reason": word, "message": text, **times}}


def said(stage: str, **fields: Any) -> Body:
    """Give the termination message of a container that did its work."""
    return {"v": 1, "stage": stage, "ok": True, **fields}


def failed(stage: str, code: str, message: str = "it does not work", hint: str | None = None) -> Body:
    """Give the termination message of a container that failed."""
    return {"v": 1, "stage": stage, "ok": False, "failure": {"code": code, "message": message, "hint": hint}}


def up_to(name: str, last: Body) -> Body:
    """Give the states of a pod whose containers have done their work up to one, which is in the state given."""
    names = STEPS[: STEPS.index(name)]
    return {"log": running(1), **{each: done(message=said(each)) for each in names}, name: last}


RESULT = {
    "folder": "s3://images/edge/images/edge/1.0.0-0123456789ab/",
    "result": "result.json",
    "artifacts": [{"format": "raw", "compression": "none", "file": "edge.raw", "size": 1000, "sha256": "a" * 64}],
    "documents": [
        {"kind": "sbom", "file": "edge.spdx.json", "sha256": "b" * 64},
        {"kind": "lock", "file": "edge.lock.json", "sha256": "c" * 64},
        {"kind": "provenance", "file": "edge.provenance.json", "sha256": "f" * 64},
    ],
    "specDigest": "d" * 64,
    "lockDigest": "e" * 64,
    "packageCount": 169,
    "kernelVersion": "6.1.0-1-amd64",
    "builderVersion": "0.1.0",
}
"""What publish says of a build that went well; the folder is `published_states`' to set."""


def published_states(of: Body, body: Body, **changes: Any) -> Body:
    """Give the states of a pod that has published its ImageBuild."""
    plan = plan_of(body)
    result = {**RESULT, "folder": f"s3://images/{plan.folder}", **changes}
    log = f"s3://images/{plan.folder}logs/pod-1.log"
    states = up_to("publish", done(message=said("publish", result=result), end=40))
    return {**states, "log": done(message=said("log", log=log), end=41)}


def view(body: Body, jobs: list[Body] | None = None, pods: list[Body] | None = None, **more: Any) -> View:
    """Give what a decision is made of."""
    lock = more.pop("lock", None)
    plan: Plan | SpecError
    try:
        plan = plan_of(body, lock)
    except SpecError as error:
        plan = error
    return View(
        build=read_build(body),
        plan=plan,
        jobs=[read_job(each) for each in jobs or []],
        pods=[read_pod(each) for each in pods or []],
        now=more.pop("now", NOW + timedelta(seconds=5)),
        builder_image=SETTINGS.builder_image,
        **more,
    )


def after(body: Body, decision: Decision) -> Body:
    """Give an ImageBuild with the status that was decided upon."""
    return {**body, "status": decision.status.as_json()}


def decided(body: Body, jobs: list[Body] | None = None, pods: list[Body] | None = None, **more: Any) -> Decision:
    """Decide."""
    return decide(view(body, jobs, pods, **more))


def standing(decision: Decision) -> tuple[str, dict[str, str]]:
    """Give the reason, and which conditions say what."""
    conditions = decision.status.conditions
    return str(conditions[0].reason), {str(each.type): str(each.status) for each in conditions}
