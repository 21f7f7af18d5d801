"""Names that the operator gives to things in the cluster."""

from __future__ import annotations

from image_composer.digest import json_sha256

GROUP = "imagecomposer.dev"
VERSION = "v1alpha1"
PLURAL = "imagebuilds"
KIND = "ImageBuild"
API_VERSION = f"{GROUP}/{VERSION}"

OPERATOR = "image-composer-operator"
"""Name that events and field managers carry."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "image-composer"
SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
"""Label selector of everything that the operator makes."""

LABEL_BUILD = f"{GROUP}/build"
LABEL_UID = f"{GROUP}/build-uid"
LABEL_ROLE = f"{GROUP}/role"
ROLE_BUILD = "build"
ROLE_CLEANUP = "cleanup"
LABEL_JOB = "batch.kubernetes.io/job-name"

ANNOTATION_DOCUMENT = f"{GROUP}/document"
ANNOTATION_TRUSTED_CA = f"{GROUP}/trusted-ca"
ANNOTATION_KEYS = f"{GROUP}/keys-"
"""Followed by an archive's name."""

ANNOTATION_RUN = f"{GROUP}/run-digest"
ANNOTATION_GENERATION = f"{GROUP}/generation"
ANNOTATION_REQUESTED_AT = f"{GROUP}/requested-at"
"""On an ImageBuild: a new value asks for another try."""

FINALIZER = f"{GROUP}/objects"

NAMESPACE_LABEL = f"{GROUP}/builds"
NAMESPACE_ALLOWED = "allowed"

NAME_CHARACTERS = 46
"""How much of an ImageBuild's name its Jobs' names hold: with the digest and the pod's own suffix that makes 63."""

RUN_CHARACTERS = 10


def job_name(build: str, run_digest: str) -> str:
    """Give the name of the Job of a run: the same wherever and whenever it is worked out, so nothing is built twice."""
    return f"{_stem(build)}-{run_digest[:RUN_CHARACTERS]}"


def cleanup_job_name(build: str, uid: str) -> str:
    """Give the name of the Job that removes what an ImageBuild published."""
    return f"{_stem(build)}-{json_sha256({'cleanup': uid})[:RUN_CHARACTERS]}"


def label_value(name: str) -> str:
    """Give a name as a label may hold it."""
    return name[:63].rstrip("-.")


def _stem(build: str) -> str:
    return build[:NAME_CHARACTERS].replace(".", "-").rstrip("-")
