"""An ImageBuild on a real node: what a user sees from `kubectl apply` to a machine that boots."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster import S3Server
from support.countingmirror import CountingMirror
from support.operators import Builds, Installed, condition, has_ended, message_of, objects, reason_of, tiny

pytestmark = [pytest.mark.cluster, pytest.mark.network, pytest.mark.build]

EXAMPLE = Path(__file__).parents[2] / "examples/debian-12.yaml"
STAGES = ["validate", "preflight", "resolve", "fetch", "assemble", "image", "attest", "verify", "publish"]
BOOT_SECONDS = 900.0
"""For a build whose pod starts the image: two to four minutes without KVM."""


def test_builds_at_once_on_one_node_all_succeed_and_fetch_each_package_once(
    builds: Builds, mirror: CountingMirror, s3: S3Server
) -> None:
    names = ["one", "two", "three"]
    for name in names:
        builds.apply(name, tiny(name))
    for name in names:
        status = builds.wait_for_end(name)
        assert reason_of(status) == "Succeeded", message_of(status)
        folder = status["folder"].removeprefix("s3://images/")
        assert f"{folder}result.json" in objects(s3, folder)
    fetched = {path: count for path, count in mirror.wanted.items() if path.endswith(".deb")}
    assert len(fetched) > 50
    assert {path: count for path, count in fetched.items() if count > 1} == {}


@dataclass(frozen=True)
class Built:
    """The example, applied and built."""

    name: str
    seen: list[dict[str, Any]]
    """Every status that was seen on the way, in order."""

    @property
    def status(self) -> dict[str, Any]:
        return self.seen[-1]


@pytest.fixture(scope="module")
def example(builds: Builds) -> Built:
    """The example as it stands in the repository: nothing of it but the namespace is the test's."""
    name = yaml.safe_load(EXAMPLE.read_text())["metadata"]["name"]
    builds.kubectl("apply", "-f", str(EXAMPLE))
    seen: list[dict[str, Any]] = []

    def until(status: dict[str, Any]) -> bool:
        if not seen or seen[-1] != status:
            seen.append(status)
        return has_ended(status)

    builds.wait(name, until, "has ended")
    return Built(name, seen)


def test_the_example_is_ready_and_its_status_says_what_there_is(example: Built, builds: Builds) -> None:
    status = example.status
    assert reason_of(status) == "Succeeded", message_of(status)
    assert condition(status, "Reconciling") == {}
    assert condition(status, "Stalled") == {}
    assert status["observedGeneration"] == builds.get(example.name)["metadata"]["generation"]
    assert [stage["state"] for stage in status["stages"]] == ["Succeeded"] * len(STAGES)
    assert [stage["name"] for stage in status["stages"]] == STAGES
    assert status["attempts"] == 1
    assert status["kernelVersion"].startswith("6.1.")
    assert status["packageCount"] > 150


def test_stages_are_seen_as_they_come(example: Built) -> None:
    seen = [status["stage"] for status in example.seen if status.get("stage")]
    order = [STAGES.index(stage) for stage in seen]
    assert order == sorted(order)
    assert {"resolve", "assemble", "publish"} <= set(seen)
    working = [status for status in example.seen if condition(status, "Reconciling").get("status") == "True"]
    assert len(working) > len(STAGES) / 2


def test_the_objects_are_what_the_status_says(example: Built, s3: S3Server) -> None:
    status = example.status
    folder = status["folder"].removeprefix("s3://images/")
    names = {key.removeprefix(folder) for key in objects(s3, folder)}
    [image] = status["artifacts"]
    documents = [status[kind]["uri"] for kind in ("sbom", "lock", "provenance", "result")]
    uris = [image["uri"], *documents, status["log"]]
    assert {uri.removeprefix(status["folder"]) for uri in uris} <= names
    result = json.loads(s3.client().get_object(Bucket="images", Key=f"{folder}result.json")["Body"].read())
    assert result["artifacts"][0]["sha256"] == image["sha256"]
    assert (result["specDigest"], result["lockDigest"]) == (status["specDigest"], status["lockDigest"])
    sbom = json.loads(s3.client().get_object(Bucket="images", Key=_key(status["sbom"]["uri"]))["Body"].read())
    assert sbom["spdxVersion"] == "SPDX-2.3"
    statement = json.loads(
        s3.client().get_object(Bucket="images", Key=_key(status["provenance"]["uri"]))["Body"].read()
    )
    assert statement["subject"] == [{"name": image["uri"].rpartition("/")[2], "digest": {"sha256": image["sha256"]}}]


def test_the_log_tells_of_every_stage(example: Built, s3: S3Server) -> None:
    log = s3.client().get_object(Bucket="images", Key=_key(example.status["log"]))["Body"].read().decode()
    for stage in ("validate", "resolve", "fetch", "assemble", "image", "attest", "verify", "publish"):
        assert f"{stage}: done in" in log


def test_people_see_it_in_columns_and_events(example: Built, builds: Builds) -> None:
    row = builds.kubectl("get", "ib", example.name, "--no-headers").split()
    assert row[:5] == [example.name, "True", "publish", "debian", "1.0.0"]
    fields = ["--field-selector", f"involvedObject.name={example.name},involvedObject.kind=ImageBuild"]
    events = json.loads(builds.kubectl("get", "events", *fields, "-o", "json"))["items"]
    assert {event["reason"] for event in events} == {"Running", "Succeeded"}
    assert all(event["count"] == 1 for event in events)


def test_the_operator_counts_it(example: Built, installed: Installed) -> None:
    metrics = installed.metrics()
    succeeded = [line for line in metrics.splitlines() if line.startswith("image_composer_builds_total")]
    assert any('distribution="debian"' in line and 'result="Succeeded"' in line for line in succeeded)
    assert 'image_composer_stage_duration_seconds_count{distribution="debian",stage="assemble"}' in metrics
    assert 'image_composer_build_info{version="' in metrics


def test_the_pod_could_do_no_more_than_it_had_to(example: Built, builds: Builds) -> None:
    [pod] = builds.items("pods", example.name)
    assert pod["spec"]["automountServiceAccountToken"] is False
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    mounts = {each["name"]: {mount["name"] for mount in each["volumeMounts"]} for each in containers}
    assert not any("kube-api-access" in name for names in mounts.values() for name in names)
    assert {name for name, volumes in mounts.items() if "s3" in volumes} == {"log", "preflight", "publish"}
    assert [each["name"] for each in containers if each["securityContext"].get("privileged")] == ["assemble", "image"]


def test_the_same_again_is_reused_at_once(example: Built, builds: Builds) -> None:
    """A resource that is deleted and applied again finds what it had published."""
    folder = example.status["folder"]
    builds.kubectl("delete", "ib", example.name)
    builds.kubectl("apply", "-f", str(EXAMPLE))
    status = builds.wait_for_end(example.name, seconds=90)
    assert reason_of(status) == "Succeeded", message_of(status)
    assert status["reused"] is True
    assert status["folder"] == folder
    assert status["artifacts"] == example.status["artifacts"]
    assert {stage["state"] for stage in status["stages"]} <= {"Succeeded", "Skipped"}


@pytest.fixture(scope="module")
def locked(example: Built, builds: Builds, s3: S3Server) -> dict[str, Any]:
    """The status of the same image built by the example's lock, and started in its pod before it is published.

    What waits for its lock is told so.
    """
    lock = s3.client().get_object(Bucket="images", Key=_key(example.status["lock"]["uri"]))["Body"].read().decode()
    image = {**yaml.safe_load(EXAMPLE.read_text())["spec"]["image"], "verify": {"boot": True, "bootTimeout": "15m"}}
    builds.apply("locked", {"image": image, "lockRef": {"name": "lock"}})
    status = builds.wait_for_reason("locked", "MissingLock", seconds=30)
    assert "lock" in message_of(status)
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lock"}, "data": {"lock.json": lock}}
    builds.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    status = builds.wait_for_end("locked", seconds=BOOT_SECONDS)
    assert reason_of(status) == "Succeeded", message_of(status)
    return status


def test_a_lock_of_an_earlier_build_makes_the_same_image(example: Built, locked: dict[str, Any]) -> None:
    assert locked["lockDigest"] == example.status["lockDigest"]
    assert [each["sha256"] for each in locked["artifacts"]] == [each["sha256"] for each in example.status["artifacts"]]
    assert locked["folder"] != example.status["folder"]


@pytest.mark.boot
def test_what_comes_from_the_bucket_is_the_image_that_started_in_its_pod(
    locked: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    verdict = locked["sbom"]["uri"].replace(".spdx.json", ".verify.json")
    boot = json.loads(s3.client().get_object(Bucket="images", Key=_key(verdict))["Body"].read())["boot"]
    assert (boot["outcome"], boot["marker"], boot["state"], boot["failedUnits"]) == ("passed", "witness", "running", [])
    assert boot["kernel"] == locked["kernelVersion"]
    assert any("Startup finished" in line for line in boot["analyze"])
    [image] = locked["artifacts"]
    disk = tmp_path / "disk.raw"
    s3.client().download_file("images", _key(image["uri"]), str(disk))
    with disk.open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == image["sha256"]
    disk.unlink()


def _key(uri: str) -> str:
    return uri.removeprefix("s3://images/")
