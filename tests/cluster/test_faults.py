"""What goes wrong while a build runs: then the status is right, nothing built twice and nothing half-published."""

from __future__ import annotations

import json
import time
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.cluster import S3Server, eventually
from support.cluster.choose import Cluster
from support.operators import (
    PATIENCE,
    Builds,
    Installed,
    add_secret,
    condition,
    has_ended,
    message_of,
    objects,
    operator_process,
    reason_of,
    tiny,
)

pytestmark = [pytest.mark.cluster, pytest.mark.network, pytest.mark.build]

STAGES = ["validate", "preflight", "resolve", "fetch", "assemble", "image", "attest", "verify", "publish"]
OUTAGE = 60.0
"""Seconds that the S3 server is away."""


def folder_of(status: dict[str, Any]) -> str:
    """Give the keys' beginning of a build."""
    return str(status["folder"]).removeprefix("s3://images/")


def assert_published_once(builds: Builds, s3: S3Server, name: str, *, tries: Container[int] = (1,)) -> dict[str, Any]:
    """Say that a build is ready, came from one Job, and that one complete folder is all there is of it."""
    status = builds.wait_for_end(name)
    assert reason_of(status) == "Succeeded", message_of(status)
    assert status["attempts"] in tries
    [job] = builds.items("jobs", name)
    assert job["metadata"]["name"] == status["jobName"]
    keys = objects(s3, f"{builds.namespace}/{name}/")
    assert {key.split("/")[2] for key in keys} == {folder_of(status).split("/")[2]}
    names = {key.removeprefix(folder_of(status)) for key in keys}
    documents = [status["sbom"], status["lock"], status["provenance"]]
    expected = {each["uri"].rpartition("/")[2] for each in [*status["artifacts"], *documents]}
    verdict = status["sbom"]["uri"].rpartition("/")[2].replace(".spdx.json", ".verify.json")
    others = {verdict, "SHA256SUMS", "result.json"}
    assert {each for each in names if not each.startswith("logs/")} == expected | others
    return status


def test_an_operator_that_dies_in_each_stage_loses_and_doubles_nothing(
    builds: Builds, installed: Installed, s3: S3Server
) -> None:
    name = "orphaned"
    builds.apply(name, tiny(name))
    killed_at = []
    for number, stage in enumerate(STAGES):
        # Its pod tells how far the build is, while no operator writes a status.
        left = STAGES[number:]
        reached = eventually(partial(stage_of_pod, builds, name, left), f"{stage} runs", seconds=PATIENCE)
        if reached == "ended":
            break
        if reached not in killed_at:
            installed.kill()
            killed_at.append(reached)
    assert len(killed_at) > len(STAGES) / 2, killed_at
    status = assert_published_once(builds, s3, name)
    assert len(builds.items("pods", name)) == 1
    assert [stage["state"] for stage in status["stages"]] == ["Succeeded"] * len(STAGES)
    fields = f"involvedObject.name={name},involvedObject.kind=ImageBuild,reason=Succeeded"
    events = json.loads(builds.kubectl("get", "events", "--field-selector", fields, "-o", "json"))["items"]
    assert len(events) == 1


def stage_of_pod(builds: Builds, name: str, stages: list[str]) -> str | None:
    """Give the stage that a build's pod is at, once it is one of some; `ended` when the pod has."""
    for pod in builds.items("pods", name):
        if pod["status"].get("phase") in ("Succeeded", "Failed"):
            return "ended"
        states = [
            *pod["status"].get("initContainerStatuses", []),
            *pod["status"].get("containerStatuses", []),
        ]
        begun = [each["name"] for each in states if "waiting" not in each["state"] and each["name"] != "log"]
        if begun and begun[-1] in stages:
            return str(begun[-1])
    return None


def test_a_pod_that_is_deleted_in_each_stage_is_followed_by_another(builds: Builds, s3: S3Server) -> None:
    """Each stage has an ImageBuild of its own, all at once: the Job controller waits longer with each lost pod.

    The last waits for the node to have room, which took ten minutes when machines started beside it.
    """
    names = {stage: f"lost-{stage}" for stage in STAGES}
    for stage in ("assemble", "validate", "fetch", "publish", "image", "verify", "preflight", "resolve", "attest"):
        builds.apply(names[stage], tiny(names[stage]))

    def lose(stage: str) -> str:
        reached = eventually(
            lambda: stage_of_pod(builds, names[stage], STAGES[STAGES.index(stage) :]),
            f"{stage} runs",
            seconds=2.5 * PATIENCE,
            every=0.5,
        )
        [pod] = builds.items("pods", names[stage])
        builds.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
        return str(reached)

    with ThreadPoolExecutor(len(STAGES)) as pool:
        reached = list(pool.map(lose, STAGES))
    assert "ended" not in reached
    for stage, name in names.items():
        # What is about to end may end well before the kubelet ends it.
        assert_published_once(builds, s3, name, tries=(1, 2) if stage == STAGES[-1] else (2,))


def test_an_s3_server_that_is_away_when_the_build_publishes_is_waited_for(builds: Builds, s3: S3Server) -> None:
    name = "outage"
    builds.apply(name, tiny(name))
    builds.wait_for_stage(name, ["image", "attest", "verify", "publish"])
    s3.stop()
    time.sleep(OUTAGE)  # the outage itself
    s3.restart()
    status = assert_published_once(builds, s3, name)
    assert status["finishedAt"] > status["startedAt"]


def test_an_edit_in_the_middle_of_a_build_builds_the_new_spec_only(builds: Builds, s3: S3Server) -> None:
    name = "edited"
    builds.apply(name, tiny(name))
    builds.wait_for_stage(name, ["assemble", "image"])
    former = builds.status(name)
    builds.apply(name, tiny(name, version="2.0"))
    builds.wait(name, lambda status: status.get("version") == "2.0" and has_ended(status), "has built the new spec")
    status = builds.status(name)
    assert reason_of(status) == "Succeeded", message_of(status)
    assert status["observedGeneration"] == builds.get(name)["metadata"]["generation"]
    assert [entry["result"] for entry in status["history"]] == ["Superseded"]
    assert [job["metadata"]["name"] for job in builds.items("jobs", name)] == [status["jobName"]]
    # At most the log of the former build is there: nothing that a reader could take for a result.
    assert [key for key in objects(s3, folder_of(former)) if "/logs/" not in key] == []
    assert f"{folder_of(status)}result.json" in objects(s3, folder_of(status))


def test_a_cancelled_build_ends_and_begins_anew_when_that_is_taken_back(builds: Builds, s3: S3Server) -> None:
    name = "cancelled"
    builds.apply(name, tiny(name))
    builds.wait_for_stage(name, ["assemble", "image"])
    builds.apply(name, {**tiny(name), "cancel": True})
    status = builds.wait_for_reason(name, "Cancelled", seconds=40)
    assert condition(status, "Stalled")["status"] == "True"
    eventually(lambda: not builds.items("pods", name), "its pod is gone", seconds=90)
    assert [key for key in objects(s3, f"{builds.namespace}/{name}/") if "/logs/" not in key] == []
    builds.apply(name, tiny(name))
    builds.wait_for_reason(name, "Succeeded")


@pytest.mark.parametrize("stage", ["assemble", "publish"])
def test_an_imagebuild_deleted_in_the_middle_leaves_nothing(builds: Builds, s3: S3Server, stage: str) -> None:
    name = f"gone-{stage}"
    builds.apply(name, {**tiny(name), "retention": {"objects": "delete"}})
    builds.wait_for_stage(name, [stage])
    builds.kubectl("delete", "ib", name, f"--timeout={PATIENCE}s")
    # The Job that removed the objects goes last, when the ImageBuild is gone already.
    eventually(lambda: not builds.items("jobs,pods", name), "nothing is left of it", seconds=90)
    assert objects(s3, f"{builds.namespace}/{name}/") == []


def test_objects_go_with_a_finished_imagebuild_or_stay_as_it_says(builds: Builds, s3: S3Server) -> None:
    for name, objects_go in (("goes", "delete"), ("stays", "keep")):
        builds.apply(name, {**tiny(name), "retention": {"objects": objects_go}})
    for name in ("goes", "stays"):
        assert_published_once(builds, s3, name)
        builds.kubectl("delete", "ib", name, f"--timeout={PATIENCE}s")
    assert objects(s3, f"{builds.namespace}/goes/") == []
    assert any(key.endswith("/result.json") for key in objects(s3, f"{builds.namespace}/stays/"))


def test_a_finished_imagebuild_goes_by_itself_when_its_time_is_up(builds: Builds) -> None:
    name = "short-lived"
    builds.apply(name, {**tiny(name), "retention": {"ttlAfterFinished": "5s"}})
    eventually(lambda: f"/{name}\n" not in builds.kubectl("get", "ib", "-o", "name"), "it is gone", seconds=PATIENCE)


def test_two_operators_by_mistake_build_once(
    builds: Builds, cluster: Cluster, settings: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    name = "twice"
    with operator_process(tmp_path, cluster.kubeconfig, settings):
        builds.apply(name, tiny(name))
        assert_published_once(builds, s3, name)
    assert len(builds.items("pods", name)) == 1
    fields = f"involvedObject.name={name},involvedObject.kind=ImageBuild"
    events = json.loads(builds.kubectl("get", "events", "--field-selector", fields, "-o", "json"))["items"]
    assert sorted(event["reason"] for event in events) == ["Running", "Succeeded"]


def test_a_bucket_behind_a_certificate_of_its_own_authority_is_published_to(
    builds: Builds, cluster: Cluster, tools: Path, tmp_path: Path
) -> None:
    with S3Server.start(tmp_path, tools / "versitygw", address=cluster.host_ip, tls=True, buckets=["secure"]) as secure:
        assert secure.ca_bundle is not None
        add_secret(builds, secure, "secure")
        destination = {
            "bucket": "secure",
            "endpoint": secure.endpoint,
            "caBundle": secure.ca_bundle.read_text(),
            "credentialsSecretRef": {"name": "secure"},
        }
        builds.apply("secure", {**tiny("secure"), "destination": {"s3": destination}})
        status = builds.wait_for_end("secure")
        assert reason_of(status) == "Succeeded", message_of(status)
        assert any(key.endswith("/result.json") for key in objects(secure, "", "secure"))
