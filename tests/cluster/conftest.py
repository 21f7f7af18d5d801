"""One cluster, one control plane and one S3 server for all tests; a namespace for each.

What is missing on a machine skips the tests with how to get it; as root on Debian with Go nothing is skipped.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.builderimage import IN_IMAGE, project_images, with_distribution
from support.cluster import ControlPlane, LocalCluster, S3Server, eventually, free_index
from support.cluster.choose import Cluster, choose
from support.cluster.images import write_programs
from support.cluster.tools import ALL, build, missing_for_building, missing_for_cluster, missing_for_control_plane
from support.countingmirror import CountingMirror, counting
from support.debrepo import DebRepository, write_repository
from support.distribution import BOOT, OwnRepository, write_distribution
from support.openpgp import Keychain
from support.operators import Builds, Installed, add_secret
from support.tools import helm

TESTING_BUILDER = "localhost/image-composer-testing-builder:dev"

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
    with a_namespace(cluster) as name:
        yield name


@contextmanager
def a_namespace(cluster: Cluster, **labels: str) -> Iterator[str]:
    """Make a namespace in which images may be built, unless further labels say otherwise."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *(f"{label}={value}" for label, value in {**LABELS, **labels}.items()))
    # Pods are refused until the namespace has its account.
    account = ("-n", name, "get", "--ignore-not-found", "serviceaccount/default", "-o", "name")
    eventually(lambda: bool(cluster.kubectl(*account)), "the namespace has an account", seconds=60)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def mirror(cluster: Cluster) -> Iterator[CountingMirror]:
    """A mirror of Debian that pods reach, and that counts what they want."""
    with counting(cluster.host_ip) as started:
        yield started


@pytest.fixture(scope="session")
def builder_image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Let the cluster know the images of operator and builder; give the name of one that knows `testing` too."""
    folder = tmp_path_factory.mktemp("images")
    archives = project_images(folder / "project")
    distribution = folder / "distribution"
    with Keychain() as keychain:
        key = keychain.make("archive")
        write_distribution(distribution, OwnRepository(f"file:///{IN_IMAGE}/repository", key), on_debian=True)
        write_repository(DebRepository([BOOT], valid_for=None), distribution / "repository", keychain, key)
    cluster.load_image(archives["operator"])
    cluster.load_image(with_distribution(archives["builder"], distribution, TESTING_BUILDER, folder / "testing"))
    return TESTING_BUILDER


@pytest.fixture(scope="session")
def settings(
    builder_image: str, s3: S3Server, mirror: CountingMirror, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The operator's settings for this cluster."""
    destination = {"bucket": "images", "endpoint": s3.endpoint, "credentialsSecretRef": {"name": "s3"}}
    cache = {"hostPath": str(tmp_path_factory.mktemp("package-cache"))}
    return {
        "builderImage": builder_image,
        "builderImagePullPolicy": "Never",
        "mirrors": mirror.urls(),
        "defaults": {"destination": {"s3": destination}, "build": {"cache": cache, "timeout": "20m"}},
    }


@pytest.fixture(scope="session")
def installed(cluster: Cluster, builder_image: str, settings: dict[str, Any]) -> Iterator[Installed]:
    """The operator, installed by the chart as users install it."""
    repository, _, tag = builder_image.rpartition(":")
    release = Installed(cluster, helm())
    release.install(
        {
            "image": {"repository": "localhost/image-composer-operator", "tag": "dev", "pullPolicy": "Never"},
            "builder": {"image": {"repository": repository, "tag": tag, "pullPolicy": "Never"}},
            "settings": {name: settings[name] for name in ("mirrors", "defaults")},
        }
    )
    yield release
    sys.stderr.write(release.log()[-20000:])


@pytest.fixture(scope="module")
def builds(installed: Installed, s3: S3Server) -> Iterator[Builds]:
    """A namespace in which images can be built and published."""
    with a_namespace(installed.cluster) as name:
        found = Builds(installed.cluster, name)
        add_secret(found, s3)
        yield found
