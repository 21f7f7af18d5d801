"""Secrets of a namespace: each reaches the stage that needs it, and is found nowhere else that anybody can read."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from image_composer.digest import bytes_sha256
from support.cluster import S3Server
from support.cluster.choose import Cluster
from support.disks import partition_table, say
from support.keys import KeyPair, make_keys
from support.operators import Builds, Installed, add_secret, message_of, objects, reason_of, tiny

pytestmark = [pytest.mark.cluster, pytest.mark.network, pytest.mark.build]

NAME = "treasured"
CANARY = f"canary-of-a-file-{uuid.uuid4().hex}"
RULES = b"allow = 192.0.2.0/24\n"
"""A file out of a bucket that is not the destination's, with a Secret of its own."""

SIGNATURE = b"X-Amz-Signature"
"""In every address that is signed for it."""

SECTOR = 512

SITE = """
variables:
  - {name: SITE, description: short name of the site}
sysctl: {net.ipv4.ip_forward: "1"}
files:
  - path: /etc/edge/site.conf
    template: true
    content: "site = ${SITE}\\n"
"""
"""What the ImageBuild builds on."""


@dataclass(frozen=True)
class Treasured:
    """A build that was given secrets of four kinds, and all that is left of it."""

    status: dict[str, Any]
    pod: dict[str, Any]
    secrets: dict[str, bytes]
    """What must be found nowhere, by the name of its Secret."""

    told: dict[str, bytes]
    """What people and programs can read, by where it stands: objects of the API, logs, what lies in the bucket."""

    image: bytes
    disk: Path


def told_by_the_cluster(builds: Builds, installed: Installed, pod: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Give what the API server tells of a build, and what its containers and the operator wrote."""
    for kind in ("imagebuilds", "jobs", "pods", "configmaps", "events"):
        yield kind, builds.kubectl("get", kind, "-o", "json").encode()
    name = pod["metadata"]["name"]
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        yield f"log of {container['name']}", builds.kubectl("logs", name, "-c", container["name"]).encode()
    yield "log of the operator", installed.log().encode()
    yield "metrics", installed.metrics().encode()


def told_by_the_bucket(s3: S3Server, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Give what lies in the bucket."""
    for key in objects(s3, prefix):
        yield key, s3.client().get_object(Bucket="images", Key=key)["Body"].read()


def key_material(pair: KeyPair) -> bytes:
    """Give a line from the middle of a private key: whatever copies the key has it."""
    lines = pair.key.read_text().splitlines()
    return lines[len(lines) // 2].encode()


@pytest.fixture(scope="module")
def inputs(cluster: Cluster, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Another S3 server, with a file for the image."""
    folder = tmp_path_factory.mktemp("inputs")
    with S3Server.start(folder, tools / "versitygw", address=cluster.host_ip, buckets=["rules"]) as started:
        started.client().put_object(Bucket="rules", Key="gateway/rules", Body=RULES)
        yield started


@pytest.fixture(scope="module")
def treasured(
    builds: Builds,
    installed: Installed,
    s3: S3Server,
    inputs: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Treasured]:
    folder = tmp_path_factory.mktemp("treasured")
    pair = make_keys(folder)
    builds.kubectl("create", "secret", "generic", "password", f"--from-literal=psk={CANARY}")
    builds.kubectl("create", "secret", "tls", "signing", "--key", str(pair.key), "--cert", str(pair.certificate))
    add_secret(builds, inputs, "inputs")
    builds.kubectl("create", "configmap", "site", f"--from-literal=image.yaml={SITE}")
    spec = tiny(
        NAME,
        extends=[{"configMapRef": {"name": "site", "key": "image.yaml"}}],
        values={"SITE": "berlin"},
        files=[
            {"path": "/etc/edge/psk", "secretRef": {"name": "password", "key": "psk"}},
            {"path": "/etc/edge/rules", "url": "s3://rules/gateway/rules", "sha256": bytes_sha256(RULES)},
        ],
        secureBoot={"certificate": pair.pem},
        outputs=[{"format": "raw"}],
    )
    place = {"s3": {"endpoint": inputs.endpoint, "credentialsSecretRef": {"name": "inputs"}}}
    builds.apply(NAME, {**spec, "inputs": place, "secureBoot": {"keySecretRef": {"name": "signing"}}})
    status = builds.wait_for_end(NAME)
    assert reason_of(status) == "Succeeded", message_of(status)
    [pod] = builds.items("pods", NAME)
    told = dict(told_by_the_cluster(builds, installed, pod))
    told |= dict(told_by_the_bucket(s3, f"{builds.namespace}/{NAME}/"))
    [artifact] = status["artifacts"]
    image = told.pop(artifact["uri"].removeprefix("s3://images/"))
    disk = folder / "disk.raw"
    disk.write_bytes(image)
    secrets = {"password": CANARY.encode(), "signing": key_material(pair)}
    secrets |= {"s3": s3.secret_key.encode(), "inputs": inputs.secret_key.encode()}
    yield Treasured(status, pod, secrets, told, image, disk)
    disk.unlink()


def in_the_root(disk: Path, path: str) -> str:
    """Give the text of a file in the root of a disk."""
    start = partition_table(disk)["partitions"][1]["start"] * SECTOR
    return say("debugfs", "-R", f"cat {path}", f"{disk}?offset={start}")


def test_each_secret_is_mounted_where_it_is_needed(treasured: Treasured) -> None:
    spec = treasured.pod["spec"]
    sources = {volume["name"]: json.dumps(volume) for volume in spec["volumes"]}
    seen: dict[str, set[str]] = {name: set() for name in treasured.secrets}
    for container in [*spec["initContainers"], *spec["containers"]]:
        for mount in container["volumeMounts"]:
            source = sources[mount["name"]]
            for name, containers in seen.items():
                if f'"{name}"' in source and "ecret" in source:
                    containers.add(container["name"])
    assert seen == {
        "password": {"assemble"},
        "signing": {"attest"},
        "s3": {"preflight", "publish", "log"},
        "inputs": {"preflight"},
    }
    assert "secretKeyRef" not in json.dumps(spec)


@pytest.mark.parametrize("name", ["password", "signing", "s3", "inputs"])
def test_a_secret_stands_in_nothing_that_is_told_or_published(treasured: Treasured, name: str) -> None:
    assert len(treasured.told) > 20
    assert [where for where, what in treasured.told.items() if treasured.secrets[name] in what] == []


def test_an_address_that_is_signed_stands_in_nothing_that_is_told_or_published(treasured: Treasured) -> None:
    assert [where for where, what in treasured.told.items() if SIGNATURE in what] == []
    assert SIGNATURE not in treasured.image
    assert b"s3://rules/gateway/rules" in treasured.told["imagebuilds"]


def test_the_packages_cache_has_no_secret(treasured: Treasured, settings: dict[str, Any]) -> None:
    cache = Path(settings["defaults"]["build"]["cache"]["hostPath"])
    files = [Path(folder) / file for folder, _, names in os.walk(cache) for file in names]
    assert files
    contents = {file: file.read_bytes() for file in files if not file.is_symlink()}
    assert [
        file
        for file, what in contents.items()
        if any(secret in what for secret in (*treasured.secrets.values(), SIGNATURE))
    ] == []


def test_the_image_has_the_file_and_no_other_secret(treasured: Treasured) -> None:
    assert in_the_root(treasured.disk, "/etc/edge/psk") == CANARY
    assert treasured.image.count(CANARY.encode()) == 1
    assert treasured.secrets["signing"] not in treasured.image
    assert treasured.secrets["s3"] not in treasured.image
    assert treasured.secrets["inputs"] not in treasured.image


def test_the_image_has_the_file_out_of_the_bucket(treasured: Treasured) -> None:
    assert in_the_root(treasured.disk, "/etc/edge/rules") == RULES.decode()


def test_what_the_document_builds_on_is_in_the_image(treasured: Treasured) -> None:
    assert in_the_root(treasured.disk, "/etc/edge/site.conf") == "site = berlin\n"
    assert b"net.ipv4.ip_forward" in treasured.image
