"""The CustomResourceDefinition of ImageBuild, generated from the models: crds/imagebuilds.yaml."""

from __future__ import annotations

from typing import Any

import yaml

from image_composer.spec.base import SpecModel
from image_composer.spec.imagebuild import ImageBuildSpec
from image_composer_operator.admission import SPEC, STATUS
from image_composer_operator.names import GROUP, KIND, PLURAL, VERSION
from image_composer_operator.status import BuildStatus
from image_composer_operator.structural import structural

HEADER = "# Generated: make generate\n"

COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Stage", "string", ".status.stage", 0),
    ("Distribution", "string", ".spec.image.target.distribution", 0),
    ("Version", "string", ".spec.image.version", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 1),
    ("URI", "string", ".status.folder", 1),
)
"""What `kubectl get ib` shows: name, type, path; those of priority 1 with `-o wide` only."""


class ImageBuild(SpecModel):
    """An operating system image that is composed, attested and published.

    Apply one, watch `kubectl get ib`, and find the image where its status says.
    """

    api_version: str
    """Version of this schema, imagecomposer.dev/v1alpha1."""

    kind: str
    """Kind of the object, ImageBuild."""

    metadata: dict[str, Any]
    """Name, namespace, labels and annotations."""

    spec: ImageBuildSpec
    """What is asked for. A change builds anew; what was published before stays."""

    status: BuildStatus | None = None
    """What became of it, written by the operator."""


UNSEEN = {
    "observedGeneration": 0,
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Queued",
            "message": "waiting for the operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }
    ],
}
"""Status of an ImageBuild that no operator has seen: without one, kstatus takes it for finished."""


def render_crd() -> str:
    """Give the CustomResourceDefinition as YAML."""
    return HEADER + yaml.safe_dump(crd(), sort_keys=False, width=120, allow_unicode=True)


def crd() -> dict[str, Any]:
    """Give the CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["ib"],
                "categories": ["image-composer"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
                        for name, kind, path, priority in COLUMNS
                    ],
                    "selectableFields": [{"jsonPath": ".spec.image.target.distribution"}],
                }
            ],
        },
    }


def schema() -> dict[str, Any]:
    """Give the structural schema of an ImageBuild."""
    whole = structural(ImageBuild, {**SPEC, **STATUS})
    whole["properties"]["metadata"] = {"type": "object"}  # the API server allows no more: it has its own
    whole["properties"]["status"]["default"] = UNSEEN
    return whole | {"required": ["spec"]}
