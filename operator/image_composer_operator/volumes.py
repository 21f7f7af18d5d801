"""The volumes of a builder pod."""

from __future__ import annotations

from typing import Any

from image_composer.spec.pod import CacheVolume, Medium, WorkspaceVolume
from image_composer_operator.containers import KEY_FILE, TRUSTED_CA_FILE, keys_file
from image_composer_operator.inputs import input_volumes
from image_composer_operator.model import Plan
from image_composer_operator.names import ANNOTATION_DOCUMENT, ANNOTATION_KEYS, ANNOTATION_TRUSTED_CA
from image_composer_operator.settings import OperatorSettings

Manifest = dict[str, Any]

ACCESS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - a key's name
READABLE = 0o444
"""Mode of projected files: those who may see a volume at all are chosen by its mounts."""

DEFAULT_WORKSPACE_SIZE = "16Gi"
"""Room of a workspace when nobody says otherwise: a root, the images of its partitions, the disk and its outputs."""


def build_volumes(plan: Plan, settings: OperatorSettings) -> list[Manifest]:
    """Give all volumes of a build's pod."""
    volumes = [
        workspace_volume(plan.settings.workspace or WorkspaceVolume()),
        document_volume(settings),
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]
    if plan.settings.cache is not None:
        volumes.append(cache_volume(plan.settings.cache))
    if plan.spec.lock_ref is not None:
        reference = plan.spec.lock_ref
        items = [{"key": reference.key, "path": "lock.json"}]
        volumes.append({"name": "lock", "configMap": {"name": reference.name, "items": items, "defaultMode": READABLE}})
    if plan.destination.credentials_secret_ref is not None:
        volumes.append(s3_volume(plan.destination.credentials_secret_ref.name))
    if plan.inputs is not None and plan.inputs.credentials_secret_ref is not None:
        volumes.append(s3_volume(plan.inputs.credentials_secret_ref.name, "s3-inputs"))
    volumes += input_volumes(plan.spec.image)
    if plan.spec.secure_boot is not None:
        volumes.append(key_volume(plan.spec.secure_boot.key_secret_ref.name))
    if settings.host_sources:
        volumes.append({"name": "apt", "hostPath": {"path": "/etc/apt", "type": "Directory"}})
    return volumes


def workspace_volume(given: WorkspaceVolume) -> Manifest:
    """Give the volume that the stages work in."""
    size = given.size or DEFAULT_WORKSPACE_SIZE
    if given.ephemeral_volume is not None:
        claim: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        if given.ephemeral_volume.storage_class_name is not None:
            claim["storageClassName"] = given.ephemeral_volume.storage_class_name
        return {"name": "workspace", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    medium = {"medium": "Memory"} if given.medium is Medium.MEMORY else {}
    return {"name": "workspace", "emptyDir": {**medium, "sizeLimit": size}}


def cache_volume(given: CacheVolume) -> Manifest:
    """Give the volume that keeps packages between builds."""
    if given.persistent_volume_claim is not None:
        return {"name": "cache", "persistentVolumeClaim": {"claimName": given.persistent_volume_claim}}
    return {"name": "cache", "hostPath": {"path": given.host_path, "type": "DirectoryOrCreate"}}


def document_volume(settings: OperatorSettings) -> Manifest:
    """Give the volume that shows the pod its own annotations: no further object, and never out of step with the Job."""
    files = {"imagebuild.json": ANNOTATION_DOCUMENT}
    if settings.trusted_ca:
        files[TRUSTED_CA_FILE] = ANNOTATION_TRUSTED_CA
    files |= {keys_file(archive): f"{ANNOTATION_KEYS}{archive}" for archive in sorted(settings.keys)}
    items = [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
        for path, annotation in files.items()
    ]
    return {"name": "document", "downwardAPI": {"items": items, "defaultMode": READABLE}}


def s3_volume(secret: str, name: str = "s3") -> Manifest:
    """Give the volume with S3 credentials: while a key is missing the pod doesn't start, and the kubelet says so."""
    required = [{"key": key, "path": key} for key in ACCESS_KEYS]
    sources = [
        {"secret": {"name": secret, "items": required}},
        {"secret": {"name": secret, "items": [{"key": SESSION_TOKEN, "path": SESSION_TOKEN}], "optional": True}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": READABLE}}


def key_volume(secret: str) -> Manifest:
    """Give the volume with the private key for Secure Boot; as above, the pod waits for it."""
    items = [{"key": KEY_FILE, "path": KEY_FILE}]
    return {"name": "secure-boot", "secret": {"secretName": secret, "items": items, "defaultMode": READABLE}}
