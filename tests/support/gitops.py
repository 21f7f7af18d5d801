"""ImageBuilds as GitOps tools judge them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import lupa.lua51  # type: ignore[import-untyped] # comes without types
import yaml

PROJECT = Path(__file__).parents[2]
SAMPLES = PROJECT / "tests/data/status"
ARGOCD_HEALTH = PROJECT / "charts/image-composer/files/argocd-health.lua"

Body = dict[str, Any]


def sample(name: str) -> Body:
    """Give one of the sample ImageBuilds."""
    return dict(yaml.safe_load((SAMPLES / f"{name}.yaml").read_text()))


def kstatus(body: Body) -> str:
    """Judge an object as kstatus judges those that it doesn't know by kind; the order of its rules counts.

    https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
    """
    status = body.get("status", {})
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    if "deletionTimestamp" in body["metadata"]:
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != body["metadata"]["generation"]:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    if conditions.get("Ready") in ("False", "Unknown"):
        return "InProgress"
    return "Current"


def health(body: Body, names: Collection[str] = ()) -> tuple[str, str]:
    """Judge an ImageBuild as our health check does in Argo CD, whose Lua is 5.1: status and message.

    Args:
        body: the ImageBuild.
        names: what the script finds, when that is not everything that Lua brings.
    """
    runtime = lupa.lua51.LuaRuntime()
    own = runtime.globals()
    for name in set(own) - set(names or own):
        own[name] = None
    own["obj"] = runtime.table_from(body, recursive=True)
    found = runtime.execute(ARGOCD_HEALTH.read_text())
    return str(found["status"]), str(found["message"])
