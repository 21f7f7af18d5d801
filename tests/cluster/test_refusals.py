"""What keeps a build from starting, or makes it fail: on a real node, with the reason and the sentence a user reads.

All are applied at once, since each waits for something else; every test then looks at its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import ToolError
from support.cluster import S3Server, eventually
from support.cluster.choose import Cluster
from support.operators import (
    Builds,
    Installed,
    add_secret,
    condition,
    message_of,
    objects,
    operator_process,
    reason_of,
    tiny,
)

from .conftest import a_namespace

pytestmark = [pytest.mark.cluster, pytest.mark.network, pytest.mark.build]

SOON = 40.0
"""Seconds for what the status should say within a few: the machine may be busy with other builds."""


def at(s3: S3Server, secret: str = "s3", bucket: str = "images") -> dict[str, Any]:
    """Give a destination."""
    return {"s3": {"bucket": bucket, "endpoint": s3.endpoint, "credentialsSecretRef": {"name": secret}}}


@pytest.fixture(scope="module")
def refused(builds: Builds, s3: S3Server) -> Builds:
    """ImageBuilds that can't be built, each for a reason of its own."""
    add_secret(builds, s3, "wrong", "not-the-secret-key")
    builds.kubectl("create", "secret", "generic", "half", "--from-literal=AWS_ACCESS_KEY_ID=AK")
    selector = {"build": {"nodeSelector": {"no-such": "node"}}}
    # The kubelet looks every ten seconds: the workspace is full once packages are fetched, and much is left to do then.
    small = {"build": {"workspace": {"size": "5Mi"}, "retries": 0}}
    many = [{"format": "raw", "compression": "xz"}, {"format": "raw", "compression": "gzip"}, {"format": "vmdk"}]
    hungry = {"build": {"resources": {"assemble": {"limits": {"memory": "40Mi"}}}, "retries": 0}}
    given: dict[str, dict[str, Any]] = {
        "no-secret": {**tiny(), "destination": at(s3, "later")},
        "no-key": {**tiny(), "destination": at(s3, "half")},
        "wrong-key": {**tiny(), "destination": at(s3, "wrong")},
        "no-bucket": {**tiny(), "destination": at(s3, bucket="nowhere")},
        "no-node": {**tiny(), **selector},
        "no-room": {**tiny(outputs=many), **small},
        "no-memory": {**tiny(), **hungry},
        "no-package": tiny(packages=["no-such-package"]),
        "no-time": {**tiny(), "build": {"timeout": "6s"}},
        "no-release": tiny(target={"distribution": "testing", "release": "99"}),
        "no-folder": {**tiny(), "build": {"cache": {"hostPath": "/etc"}}},
        "suspended": {**tiny(), "suspend": True},
        "cancelled": {**tiny(), "cancel": True},
    }
    for name, spec in given.items():
        builds.apply(name, spec)
    return builds


@pytest.mark.parametrize(
    ("name", "reason", "parts"),
    [
        ("wrong-key", "PublishFailed", ["preflight", "credentials"]),
        ("no-bucket", "PublishFailed", ["preflight", "nowhere"]),
        ("no-memory", "OutOfMemory", ["assemble", "spec.build.resources.assemble.limits.memory"]),
        ("no-package", "ResolutionFailed", ["no-such-package"]),
        ("no-time", "DeadlineExceeded", ["spec.build.timeout"]),
        ("no-release", "InvalidSpec", ["spec.image.target.release", "99"]),
        ("no-folder", "InvalidSpec", ["spec.build.cache.hostPath"]),
        ("no-room", "Evicted", ["5Mi"]),
        ("cancelled", "Cancelled", ["spec.cancel"]),
    ],
)
def test_a_build_that_can_not_be_is_stalled_with_its_reason(
    refused: Builds, name: str, reason: str, parts: list[str]
) -> None:
    status = refused.wait_for_end(name)
    assert reason_of(status) == reason, message_of(status)
    assert condition(status, "Stalled")["reason"] == reason
    assert condition(status, "Reconciling") == {}
    assert [part for part in parts if part not in message_of(status)] == [], message_of(status)


@pytest.mark.parametrize(
    ("name", "reason", "part"),
    [
        ("no-secret", "MissingSecret", 'secret "later" not found'),
        ("no-key", "MissingSecret", "AWS_SECRET_ACCESS_KEY"),
        ("no-node", "Unschedulable", "node"),
        ("suspended", "Suspended", "spec.suspend"),
    ],
)
def test_a_build_that_waits_says_for_what(refused: Builds, name: str, reason: str, part: str) -> None:
    status = refused.wait_for_reason(name, reason, seconds=SOON)
    assert part in message_of(status)
    assert condition(status, "Stalled") == {}


def test_a_users_mistake_is_not_tried_again(refused: Builds) -> None:
    status = refused.wait_for_end("no-package")
    assert status["attempts"] == 1
    assert len(refused.items("pods", "no-package")) == 1


def test_the_log_of_a_failed_build_is_in_the_bucket(refused: Builds, s3: S3Server) -> None:
    status = refused.wait_for_end("no-package")
    key = status["log"].removeprefix("s3://images/")
    log = s3.client().get_object(Bucket="images", Key=key)["Body"].read().decode()
    assert "no-such-package" in log
    folder = status["folder"].removeprefix("s3://images/")
    assert [name for name in objects(s3, folder) if "/logs/" not in name] == []


def test_a_secret_that_comes_later_lets_the_build_go_on(refused: Builds, s3: S3Server) -> None:
    refused.wait_for_reason("no-secret", "MissingSecret", seconds=SOON)
    add_secret(refused, s3, "later")
    # The kubelet looks again after a pause that doubles, up to two minutes.
    status = refused.wait_for_end("no-secret")
    assert reason_of(status) == "Succeeded", message_of(status)


def test_a_suspended_build_begins_when_it_may(refused: Builds) -> None:
    refused.wait_for_reason("suspended", "Suspended", seconds=SOON)
    assert refused.items("jobs", "suspended") == []
    refused.apply("suspended", tiny())
    status = refused.wait_for_end("suspended")
    assert reason_of(status) == "Succeeded", message_of(status)


def test_a_corrected_spec_is_built(refused: Builds) -> None:
    refused.wait_for_end("no-release")
    refused.apply("no-release", tiny())
    status = refused.wait(
        "no-release", lambda status: reason_of(status) == "Succeeded", "is built after the correction"
    )
    assert condition(status, "Validated")["status"] == "True"
    assert [each["result"] for each in status["history"]] == ["Failed"]


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, cluster: Cluster, installed: Installed, s3: S3Server) -> Iterator[Builds]:
    """A namespace with labels of its own."""
    with a_namespace(cluster, **request.param) as name:
        found = Builds(cluster, name)
        add_secret(found, s3)
        yield found


@pytest.mark.parametrize("elsewhere", [{"pod-security.kubernetes.io/enforce": "baseline"}], indirect=True)
def test_a_namespace_that_forbids_privileged_pods_is_named(elsewhere: Builds) -> None:
    elsewhere.apply("forbidden", tiny())
    status = elsewhere.wait_for_reason("forbidden", "PodSecurityForbidden", seconds=SOON)
    assert "pod-security.kubernetes.io/enforce=privileged" in message_of(status)
    label = ["label", "namespace", elsewhere.namespace, "--overwrite", "pod-security.kubernetes.io/enforce=privileged"]
    elsewhere.cluster.kubectl(*label)
    status = elsewhere.wait_for_end("forbidden")
    assert reason_of(status) == "Succeeded", message_of(status)


@pytest.mark.parametrize("elsewhere", [{"imagecomposer.dev/builds": "unknown"}], indirect=True)
def test_a_namespace_must_be_allowed_to_build(elsewhere: Builds) -> None:
    elsewhere.apply("early", tiny())
    status = elsewhere.wait_for_reason("early", "NamespaceNotAllowed", seconds=SOON)
    assert "kubectl label namespace" in message_of(status)
    assert elsewhere.items("jobs") == []


@pytest.mark.parametrize("elsewhere", [{}], indirect=True)
def test_a_quota_that_is_used_up_is_named(elsewhere: Builds) -> None:
    elsewhere.kubectl("create", "quota", "none", "--hard=pods=0")
    elsewhere.apply("crowded", tiny())
    status = elsewhere.wait_for_reason("crowded", "QuotaExceeded", seconds=SOON)
    assert "none" in message_of(status)


def test_an_image_that_can_not_be_pulled_is_named(
    cluster: Cluster, settings: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        name = stack.enter_context(a_namespace(cluster, **{"imagecomposer.dev/builds": "no"}))
        own = {**settings, "namespaces": [name], "builderImage": "localhost/gone:1", "requireNamespaceLabel": False}
        stack.enter_context(operator_process(tmp_path, cluster.kubeconfig, own))
        found = Builds(cluster, name)
        add_secret(found, s3)
        found.apply("pulled", tiny())
        status = found.wait_for_reason("pulled", "ImagePullFailed", seconds=SOON)
        assert "localhost/gone:1" in json.dumps(message_of(status))


def test_a_spec_that_an_older_crd_let_through_is_refused_by_the_operator(cluster: Cluster, builds: Builds) -> None:
    name = "imagebuilds.imagecomposer.dev"
    crd = json.loads(cluster.kubectl("get", "crd", name, "-o", "json"))
    older = json.loads(json.dumps(crd))
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    # Columns and field selectors read what such a schema does not describe.
    older["spec"]["versions"][0].pop("selectableFields", None)
    for each in (older, crd):
        each["metadata"].pop("managedFields", None)
        each["metadata"].pop("resourceVersion", None)
    try:
        cluster.kubectl("replace", "-f", "-", input=json.dumps(older))
        # Unknown fields would be pruned when they are read under the present schema; wrong values stay.
        wrong = {**tiny(version="no version!"), "build": {"timeout": "soon"}}

        def applied() -> bool:
            try:
                builds.apply("older", wrong)
            except ToolError:  # the API server takes a moment to serve the new schema
                return False
            return True

        eventually(applied, "the older schema is served", seconds=30, every=0.5)
    finally:
        cluster.kubectl("replace", "-f", "-", input=json.dumps(crd))
    status = builds.wait_for_reason("older", "InvalidSpec", seconds=SOON)
    assert "spec.image.version" in message_of(status)
    assert "spec.build.timeout" in message_of(status)
    assert condition(status, "Validated")["status"] == "False"
    assert builds.items("jobs", "older") == []
