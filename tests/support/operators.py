"""The operator on a cluster: installed by the chart, as users have it, or as a process of this machine beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.cluster import S3Server, eventually
from support.cluster.choose import Cluster

CHART = Path(__file__).parents[2] / "charts/image-composer"
NAMESPACE = "image-composer"
RELEASE = "image-composer"
PATIENCE = 600
"""Seconds within which a build gets on: two machines under TCG beside it made one of 40 seconds last four minutes."""

PROGRAM = Path(sys.executable).with_name("image-composer-operator")

Object = dict[str, Any]


@dataclass(frozen=True)
class Installed:
    """A release of the chart."""

    cluster: Cluster
    helm: Path

    def helm_run(self, *words: str | Path, values: Object | None = None) -> str:
        """Run Helm in the release's namespace."""
        argv: list[str | Path] = [self.helm, "--kubeconfig", self.cluster.kubeconfig, "-n", NAMESPACE, *words]
        given = ["--values", "-"] if values is not None else []
        text = json.dumps(values) if values is not None else None
        done = subprocess.run([*argv, *given], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, values: Object) -> None:
        """Install the chart, or upgrade it, and wait until the operator is ready."""
        words: list[str | Path] = [
            "upgrade",
            "--install",
            RELEASE,
            CHART,
            "--create-namespace",
            "--wait",
            "--timeout",
            "180s",
        ]
        self.helm_run(*words, values=values)

    def pods(self) -> list[Object]:
        """Give the operator's pods."""
        return self.items("-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/component=operator")

    def items(self, *words: str) -> list[Object]:
        """Give the objects that a kubectl command lists."""
        return list(json.loads(self.cluster.kubectl(*words, "-o", "json"))["items"])

    def kill(self) -> str:
        """Let the operator's process die without a word; give the name of its pod, which starts it again."""
        name: str = self.pods()[0]["metadata"]["name"]
        self.cluster.kubectl("-n", NAMESPACE, "delete", "pod", name, "--grace-period=0", "--force")
        return name

    def log(self) -> str:
        """Give what the operator has logged."""
        return "".join(
            self.cluster.kubectl("-n", NAMESPACE, "logs", pod["metadata"]["name"], "--tail=-1") for pod in self.pods()
        )

    def metrics(self) -> str:
        """Give the operator's metrics."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{self.pods()[0]['metadata']['name']}:8080/proxy/metrics"
        return self.cluster.kubectl("get", "--raw", path)


@contextmanager
def operator_process(folder: Path, kubeconfig: Path, settings: Object) -> Iterator[subprocess.Popen[bytes]]:
    """Run an operator as a process of this machine, with all rights of the kubeconfig."""
    file = folder / f"settings-{time.monotonic_ns()}.yaml"
    file.write_text(yaml.safe_dump({"metricsPort": 0, **settings}))
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    log = file.with_suffix(".log")
    with log.open("wb") as stream:
        process = subprocess.Popen([PROGRAM, "run", "--settings", file], env=environment, stderr=stream)
    try:
        eventually(lambda: "health and metrics" in log.read_text(), "the operator runs", seconds=60, logs=[log])
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@dataclass(frozen=True)
class Builds:
    """The ImageBuilds of a namespace, as a user sees them."""

    cluster: Cluster
    namespace: str

    def kubectl(self, *words: str, **more: Any) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *words, **more)

    def apply(self, name: str, spec: Object) -> None:
        """Apply an ImageBuild."""
        manifest = {
            "apiVersion": "imagecomposer.dev/v1alpha1",
            "kind": "ImageBuild",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest))

    def get(self, name: str) -> Object:
        """Give an ImageBuild."""
        return dict(json.loads(self.kubectl("get", "imagebuild", name, "-o", "json")))

    def items(self, kind: str, name: str | None = None) -> list[Object]:
        """Give the objects of a kind that belong to an ImageBuild, or to any."""
        selector = "app.kubernetes.io/managed-by=image-composer" + (f",imagecomposer.dev/build={name}" if name else "")
        return list(json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"])

    def status(self, name: str) -> Object:
        """Give the status of an ImageBuild."""
        return dict(self.get(name).get("status") or {})

    def wait(self, name: str, until: Callable[[Object], bool], what: str, *, seconds: float = PATIENCE) -> Object:
        """Wait until an ImageBuild's status is as wanted, and give it."""
        seen: list[Object] = [{}]

        def reached() -> bool:
            seen[0] = self.status(name)
            return until(seen[0])

        try:
            eventually(reached, f"{name} {what}", seconds=seconds, every=0.3)
        except Exception as error:
            shown = {**seen[0], "stages": [stage for stage in seen[0].get("stages", []) if stage["state"] != "Pending"]}
            raise AssertionError(f"{error}\n{json.dumps(shown, indent=1)}") from error
        return seen[0]

    def wait_for_reason(self, name: str, *reasons: str, seconds: float = PATIENCE) -> Object:
        """Wait until the condition Ready has one of some reasons."""
        return self.wait(
            name, lambda status: reason_of(status) in reasons, f"has reason {' or '.join(reasons)}", seconds=seconds
        )

    def wait_for_end(self, name: str, *, seconds: float = PATIENCE) -> Object:
        """Wait until an ImageBuild has ended, well or not."""
        return self.wait(name, has_ended, "has ended", seconds=seconds)

    def wait_for_stage(self, name: str, stages: Sequence[str], *, seconds: float = PATIENCE) -> str:
        """Wait until one of some stages runs, or has been passed; give its name."""
        status = self.wait(name, lambda status: status.get("stage") in stages, f"is at {stages[0]}", seconds=seconds)
        return str(status["stage"])


def add_secret(builds: Builds, s3: S3Server, name: str = "s3", secret_key: str | None = None) -> None:
    """Put S3 credentials into the namespace."""
    literals = [
        f"--from-literal=AWS_ACCESS_KEY_ID={s3.access_key}",
        f"--from-literal=AWS_SECRET_ACCESS_KEY={secret_key or s3.secret_key}",
    ]
    builds.kubectl("create", "secret", "generic", name, *literals)


def objects(s3: S3Server, prefix: str, bucket: str = "images") -> list[str]:
    """Give the keys of objects in a bucket, and the keys of unfinished uploads in angle brackets."""
    client = s3.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    unfinished = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    return keys + [f"<{entry['Key']}>" for entry in unfinished]


def tiny(name: str = "tiny", **changes: Any) -> Object:
    """Give the spec of an ImageBuild that takes seconds: Debian's essential packages, a kernel of a few bytes.

    Compressed, for most of what a tiny build takes would be to upload its empty blocks.
    """
    target, outputs = {"distribution": "testing", "release": "1"}, [{"format": "raw", "compression": "zstd"}]
    return {"image": {"name": name, "version": "1.0", "target": target, "outputs": outputs, **changes}}


def condition(status: Object, kind: str) -> Object:
    """Give a condition; nothing when it isn't there."""
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {})


def reason_of(status: Object) -> str:
    """Give the reason of the condition Ready."""
    return str(condition(status, "Ready").get("reason", ""))


def message_of(status: Object) -> str:
    """Give the message of the condition Ready."""
    return str(condition(status, "Ready").get("message", ""))


def has_ended(status: Object) -> bool:
    """Say whether a build is ready or stalled."""
    return condition(status, "Ready").get("status") == "True" or condition(status, "Stalled").get("status") == "True"
