"""What Argo CD and Flux make of an ImageBuild in each state that it can be in."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from support import golden
from support.gitops import PROJECT, SAMPLES, Body, health, kstatus, sample

DOCUMENTATION = PROJECT / "docs/gitops.md"

STATES = {
    # name: (kstatus, Argo CD, what Argo CD's message says)
    "new": ("Current", "Progressing", "Waiting for the operator"),
    "queued": ("InProgress", "Progressing", "Queued: waiting for the builder pod to start"),
    "running": ("InProgress", "Progressing", "Running: assemble is running"),
    "waiting-for-secret": ("InProgress", "Progressing", 'MissingSecret: secret "s3" not found'),
    "retrying": ("InProgress", "Progressing", "Retrying: another try follows"),
    "succeeded": ("Current", "Healthy", "Succeeded: published 1 image file"),
    "failed": ("Failed", "Degraded", "ResolutionFailed: resolve: no package is called 'chronyy'"),
    "invalid": ("Failed", "Degraded", "InvalidSpec: 2 problems: spec.image.version"),
    "not-allowed": ("Failed", "Degraded", "NamespaceNotAllowed: the namespace images may not run builds"),
    "outdated": ("InProgress", "Progressing", "Waiting for the operator to take up the change"),
    "rebuilding": ("InProgress", "Progressing", "Queued"),
    "suspended": ("InProgress", "Suspended", "Suspended: waits until spec.suspend is taken back"),
    "cancelled": ("Failed", "Degraded", "Cancelled: ended by spec.cancel"),
    "deleting": ("Terminating", "Progressing", "Being deleted: the published objects are being removed"),
}


def changed(name: str, **metadata: Any) -> Body:
    body = copy.deepcopy(sample(name))
    body["metadata"] |= metadata
    return body


def test_every_sample_is_judged() -> None:
    assert set(STATES) == {file.stem for file in SAMPLES.glob("*.yaml")}


@pytest.mark.parametrize("name", STATES)
def test_kstatus_tells_the_states_apart(name: str) -> None:
    assert kstatus(sample(name)) == STATES[name][0]


@pytest.mark.parametrize("name", STATES)
def test_argo_cd_tells_the_states_apart(name: str) -> None:
    status, message = health(sample(name))
    assert status == STATES[name][1]
    assert STATES[name][2] in message


@pytest.mark.parametrize("name", STATES)
def test_what_is_said_of_an_older_spec_counts_for_nothing(name: str) -> None:
    body = changed(name, generation=9)
    assert health(body)[0] == "Progressing"
    assert kstatus(body) == {"new": "Current", "deleting": "Terminating"}.get(name, "InProgress")


@pytest.mark.parametrize("name", STATES)
def test_what_is_being_deleted_is_neither_healthy_nor_degraded(name: str) -> None:
    assert health(changed(name, deletionTimestamp="2026-11-25T12:00:00Z"))[0] == "Progressing"


@pytest.mark.parametrize("status", [{}, {"conditions": []}, {"observedGeneration": 1}])
def test_a_status_with_nothing_in_it_is_waited_for(status: Body) -> None:
    body = {**sample("new"), "status": status}
    assert health(body) == ("Progressing", "Waiting for the operator")


def test_a_status_that_the_api_server_filled_in_is_waited_for_by_both() -> None:
    condition = {"type": "Ready", "status": "Unknown", "reason": "Queued", "message": "waiting for the operator"}
    body = {**sample("new"), "status": {"observedGeneration": 0, "conditions": [condition]}}
    assert health(body)[0] == "Progressing"
    assert kstatus(body) == "InProgress"


def test_the_health_check_needs_nothing_but_lua_itself() -> None:
    assert health(sample("succeeded"), names=["_G", "ipairs"])[0] == "Healthy"


def test_the_documentation_holds_the_health_check_as_it_is() -> None:
    script = (PROJECT / "charts/image-composer/files/argocd-health.lua").read_text()
    indented = "".join(f"    {line}\n" if line else "\n" for line in script.splitlines())
    text = f"```yaml\ndata:\n  resource.customizations.health.imagecomposer.dev_ImageBuild: |\n{indented}```\n"
    golden.check_part(DOCUMENTATION, "argocd-cm", text)


def test_the_documentation_says_how_each_state_looks() -> None:
    rows = [f"| {sample_title(name)} | {argo} | {status} |" for name, (status, argo, _) in STATES.items()]
    table = "\n".join(["| ImageBuild | Argo CD | Flux (kstatus) |", "|---|---|---|", *rows, ""])
    golden.check_part(DOCUMENTATION, "states", table)


def sample_title(name: str) -> str:
    """Give what the first line of a sample says about it."""
    first, _, _ = (SAMPLES / f"{name}.yaml").read_text().partition("\n")
    return f"{name.replace('-', ' ')}: {first.removeprefix('# ').removesuffix('.')}"
