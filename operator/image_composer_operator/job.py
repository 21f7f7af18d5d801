"""The Job of a build, and the one that removes what a build published: pure, values in, manifests out.

One pod, one container a stage, each with the least that it needs: only assemble and image are privileged, only log,
preflight and publish see S3 credentials (those of inputs preflight alone), only attest sees the key that signs, and
none sees the API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from image_composer.errors import EXIT_USER
from image_composer.spec.base import parse_duration
from image_composer.spec.destination import Destination, S3Destination, S3Server
from image_composer.spec.pod import BuildSettings
from image_composer_operator.containers import PROGRAM, Mounts, build_containers, plain_container, s3_environment
from image_composer_operator.model import ImageBuild, Plan
from image_composer_operator.names import (
    ANNOTATION_DOCUMENT,
    ANNOTATION_GENERATION,
    ANNOTATION_KEYS,
    ANNOTATION_RUN,
    ANNOTATION_TRUSTED_CA,
    API_VERSION,
    KIND,
    LABEL_BUILD,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_ROLE,
    LABEL_UID,
    MANAGED_BY,
    ROLE_BUILD,
    ROLE_CLEANUP,
    cleanup_job_name,
    label_value,
)
from image_composer_operator.settings import OperatorSettings
from image_composer_operator.volumes import build_volumes, document_volume, s3_volume

Manifest = dict[str, Any]

DEFAULT_TIMEOUT = "1h"
DEFAULT_RETRIES = 2

GRACE_SECONDS = 60
"""What a stage gets to tidy up, and after it the log to be uploaded."""

CLEANUP_SECONDS = 900
CLEANUP_RETRIES = 3
CLEANUP_TTL_SECONDS = 300

DOCUMENT_BYTES = 200 * 1024
"""Longest document: all annotations of an object together may have 256 KiB."""

NODE_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Label value of nodes that can build for an architecture: packages' scripts are run."""


def build_job(build: ImageBuild, plan: Plan, settings: OperatorSettings) -> Manifest:
    """Give the Job that builds an ImageBuild."""
    own = plan.settings
    mounts = Mounts(
        lock=plan.spec.lock_ref is not None,
        cache=own.cache is not None,
        s3=has_secret(plan.destination),
        s3_inputs=plan.inputs is not None and has_secret(plan.inputs),
        key=plan.spec.secure_boot is not None,
    )
    init, publish = build_containers(plan, settings, mounts)
    annotations = {
        ANNOTATION_DOCUMENT: document(build, plan),
        ANNOTATION_GENERATION: str(build.generation),
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        **({ANNOTATION_TRUSTED_CA: settings.trusted_ca} if settings.trusted_ca else {}),
        **{f"{ANNOTATION_KEYS}{archive}": keys for archive, keys in sorted(settings.keys.items())},
    }
    pod = {
        **pod_settings(own, str(plan.spec.image.target.architecture)),
        "initContainers": init,
        "containers": [publish],
        "volumes": build_volumes(plan, settings),
    }
    queue = {"kueue.x-k8s.io/queue-name": own.queue_name} if own.queue_name else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": plan.job,
            "namespace": build.namespace,
            "labels": {**own.labels, **queue, **labels(build, ROLE_BUILD)},
            "annotations": {ANNOTATION_RUN: plan.run_digest, ANNOTATION_GENERATION: str(build.generation)},
            "ownerReferences": [owner_reference(build)],
        },
        "spec": {
            "backoffLimit": DEFAULT_RETRIES if own.retries is None else own.retries,
            "activeDeadlineSeconds": parse_duration(own.timeout or DEFAULT_TIMEOUT),
            "ttlSecondsAfterFinished": settings.job_ttl_seconds,
            # A new pod only when the old one has really ended: two would write into one folder of the bucket.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": failure_policy(),
            "template": {
                "metadata": {"labels": {**own.labels, **labels(build, ROLE_BUILD)}, "annotations": annotations},
                "spec": pod,
            },
        },
    }


def cleanup_job(build: ImageBuild, destination: S3Destination, settings: OperatorSettings) -> Manifest:
    """Give the Job that removes all that an ImageBuild has published.

    It has no owner: whatever deletes the ImageBuild with its dependents first would delete the Job before its work.
    """
    tree = {**_header(build), "spec": {"destination": _destination(destination)}}
    own = settings.defaults.build
    service_account = (build.body.get("spec", {}).get("build") or {}).get("serviceAccountName")
    container = plain_container(
        "clean",
        [*PROGRAM, "pod", "clean", "--document", "/document/imagebuild.json"],
        settings,
        mounts=["document", *(["s3"] if has_secret(destination) else [])],
        environment=s3_environment(has_secret(destination)),
    )
    volumes = [document_volume(settings), {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    if destination.credentials_secret_ref is not None:
        volumes.append(s3_volume(destination.credentials_secret_ref.name))
    pod = pod_settings(own, None)
    if isinstance(service_account, str):
        pod["serviceAccountName"] = service_account
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": cleanup_job_name(build.name, build.uid),
            "namespace": build.namespace,
            "labels": labels(build, ROLE_CLEANUP),
        },
        "spec": {
            "backoffLimit": CLEANUP_RETRIES,
            "activeDeadlineSeconds": CLEANUP_SECONDS,
            "ttlSecondsAfterFinished": CLEANUP_TTL_SECONDS,
            "template": {
                "metadata": {
                    "labels": labels(build, ROLE_CLEANUP),
                    "annotations": {ANNOTATION_DOCUMENT: _compact(tree)},
                },
                "spec": {**pod, "containers": [container], "volumes": volumes},
            },
        },
    }


def document(build: ImageBuild, plan: Plan) -> str:
    """Give the document that the builder reads: one that builds on no other, with the destination filled in."""
    spec = {"image": plan.image, "destination": _destination(plan.destination)}
    if plan.spec.inputs is not None:
        spec["inputs"] = plan.spec.inputs.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _compact({**_header(build), "spec": spec})


def has_secret(server: S3Server) -> bool:
    """Say whether credentials come from a Secret, and not by the pod's own identity."""
    return server.credentials_secret_ref is not None


def pod_settings(own: BuildSettings, architecture: str | None) -> Manifest:
    """Give what stands in the pod's spec beside containers and volumes."""
    node = {"kubernetes.io/arch": NODE_ARCHITECTURES[architecture]} if architecture in NODE_ARCHITECTURES else {}
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "nodeSelector": {"kubernetes.io/os": "linux", **node, **own.node_selector},
        "tolerations": [
            toleration.model_dump(mode="json", by_alias=True, exclude_none=True) for toleration in own.tolerations
        ],
        "affinity": own.affinity,
        "priorityClassName": own.priority_class_name,
        "runtimeClassName": own.runtime_class_name,
        "serviceAccountName": own.service_account_name,
        "imagePullSecrets": [{"name": name} for name in own.image_pull_secrets],
    }
    return {name: value for name, value in spec.items() if value not in (None, [])}


def failure_policy() -> Manifest:
    """Say which failures of a pod end the Job, and which don't count. Rules are read in order."""
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [EXIT_USER]}},
        ]
    }


def labels(build: ImageBuild, role: str) -> dict[str, str]:
    """Give the labels by which the operator, people and network policies find a build's things."""
    return {
        LABEL_NAME: "image-composer-builder",
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_BUILD: label_value(build.name),
        LABEL_UID: build.uid,
        LABEL_ROLE: role,
    }


def owner_reference(build: ImageBuild) -> Manifest:
    """Give the reference by which the cluster deletes a Job with its ImageBuild."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": build.name,
        "uid": build.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _header(build: ImageBuild) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": build.name, "namespace": build.namespace},
    }


def _destination(destination: S3Destination) -> Any:
    return Destination(s3=destination).model_dump(mode="json", by_alias=True, exclude_none=True)


def _compact(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)
