"""One cluster, one control plane and one S3 server for all tests; a namespace for each.

What is missing on a machine skips the tests with how to get it; as root on Debian with Go nothing is skipped.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import ControlPlane, LocalCluster, S3Server, eventually, free_index
from support.cluster.choose import Cluster, choose
from support.cluster.images import write_programs
from support.cluster.tools import ALL, build, missing_for_building, missing_for_cluster, missing_for_control_plane

PROBE = "localhost/image-composer-probe:dev"
"""An image with a shell and little else."""

LABELS = {
    "pod-security.kubernetes.io/enforce": "privileged",  # pods that build images are
    "imagecomposer.dev/builds": "allowed",
}
"""What a namespace needs for images to be built in it."""


def need(missing: str | None) -> None:
    """Skip the test when something is missing."""
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the programs; waits until they are built."""
    need(missing_for_building())
    return build(*ALL)


@pytest.fixture(scope="session")
def control_plane(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and the API server, for what is about the API alone."""
    need(missing_for_control_plane())
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane"), tools) as started:
        yield started


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster that runs pods: the one that was named, or kind's, or a local one of its own."""
    folder = tmp_path_factory.mktemp("cluster")
    found = choose(os.environ, folder)
    if found:
        yield found
        return
    need(missing_for_cluster())
    tools: Path = request.getfixturevalue("tools")
    with LocalCluster.start(folder / "node", tools, name="tests", index=free_index()) as started:
        yield started


@pytest.fixture(scope="session")
def probe(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image with a shell and little else, known to the cluster."""
    archive = tmp_path_factory.mktemp("probe") / "probe.tar"
    cluster.load_image(write_programs(archive, PROBE, ["bash", "sh", "cat", "dd", "sleep"]))
    return PROBE


@pytest.fixture(scope="session")
def s3(cluster: Cluster, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that pods reach, with the bucket `images`."""
    folder = tmp_path_factory.mktemp("s3")
    with S3Server.start(folder, tools / "versitygw", address=cluster.host_ip, buckets=["images"]) as started:
        yield started


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace in which images may be built."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *(f"{label}={value}" for label, value in LABELS.items()))
    # Pods are refused until the namespace has its account.
    account = ("-n", name, "get", "--ignore-not-found", "serviceaccount/default", "-o", "name")
    eventually(lambda: bool(cluster.kubectl(*account)), "the namespace has an account", seconds=60)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
