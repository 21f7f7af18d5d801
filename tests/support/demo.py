"""`make cluster-demo`: all that a user of the operator does, from an empty cluster to an image on this machine."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from support.builderimage import project_images
from support.cluster import LocalCluster, S3Server, tools
from support.countingmirror import counting
from support.operators import Builds, Installed, add_secret, has_ended, message_of, reason_of

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples/debian-12.yaml"
NAMESPACE = "images"


def main() -> int:
    """Run the demonstration; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m support.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=PROJECT / ".cache/cluster/local", help="of the cluster")
    parser.add_argument("--output", type=Path, default=PROJECT / "out/demo", help="where the image is put")
    given = parser.parse_args()
    cluster = LocalCluster.of(given.folder)
    if cluster is None:
        sys.stderr.write("there is no cluster; 'make cluster' brings one up\n")
        return 1
    programs = tools.build("versitygw", "helm", said=None)
    say("making the container images of operator and builder")
    for archive in project_images(PROJECT / "out/containers").values():
        cluster.load_image(archive)
    folder = PROJECT / ".cache/cluster/demo-s3" / str(time.time_ns())
    folder.mkdir(parents=True)
    with (
        S3Server.start(folder, programs / "versitygw", address=cluster.host_ip, buckets=["images"]) as s3,
        counting(cluster.host_ip) as mirror,
    ):
        say("installing the chart")
        Installed(cluster, programs / "helm").install(values(s3, mirror.urls()))
        return build(cluster, s3, given.output)


def values(s3: S3Server, mirrors: dict[str, str]) -> dict[str, Any]:
    """Give the chart's values for this cluster."""
    place = {"bucket": "images", "endpoint": s3.endpoint, "credentialsSecretRef": {"name": "s3"}}
    cache = {"hostPath": str(PROJECT / ".cache/cluster/packages")}
    return {
        "image": {"repository": "localhost/image-composer-operator", "tag": "dev", "pullPolicy": "Never"},
        "builder": {
            "image": {"repository": "localhost/image-composer-builder", "tag": "dev", "pullPolicy": "Never"},
        },
        "settings": {"mirrors": mirrors, "defaults": {"destination": {"s3": place}, "build": {"cache": cache}}},
    }


def build(cluster: LocalCluster, s3: S3Server, output: Path) -> int:
    """Apply the example, wait for it, and bring the image here."""
    builds = Builds(cluster, NAMESPACE)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {
                "imagecomposer.dev/builds": "allowed",
                "pod-security.kubernetes.io/enforce": "privileged",
            },
        },
    }
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(namespace))
    builds.kubectl("delete", "secret", "s3", "--ignore-not-found")
    add_secret(builds, s3)
    name = yaml.safe_load(EXAMPLE.read_text())["metadata"]["name"]
    builds.kubectl("delete", "ib", name, "--ignore-not-found")
    say(f"kubectl -n {NAMESPACE} apply -f {EXAMPLE.relative_to(PROJECT)}")
    started = time.monotonic()
    builds.kubectl("apply", "-f", str(EXAMPLE))
    shown = ""
    while True:
        status = builds.status(name)
        if message_of(status) != shown:
            shown = message_of(status)
            say(f"{time.monotonic() - started:5.1f} s  {reason_of(status)}: {shown}")
        if has_ended(status):
            break
        time.sleep(0.5)
    if reason_of(status) != "Succeeded":
        return 1
    files = fetch(status, s3, output)
    say(f"downloaded and verified in {output}: {', '.join(file.name for file in files)}")
    images = [file for file in files if file.suffix == ".raw"]
    print_next(cluster, name, images)
    return 0


def fetch(status: dict[str, Any], s3: S3Server, output: Path) -> list[Path]:
    """Download what a build has published, and hold it against the digests in its status."""
    output.mkdir(parents=True, exist_ok=True)
    found = []
    for entry in [*status["artifacts"], status["sbom"], status["lock"]]:
        key = entry["uri"].removeprefix("s3://images/")
        file = output / key.rpartition("/")[2]
        s3.client().download_file("images", key, str(file))
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != entry["sha256"]:
            raise SystemExit(f"{file} is not what the status says: {digest}")
        found.append(file)
    return found


def print_next(cluster: LocalCluster, name: str, images: list[Path]) -> None:
    """Say what a user would do next."""
    subprocess.run([tools.build("kubernetes") / "kubectl", "--kubeconfig", cluster.kubeconfig, "-n", NAMESPACE, "get",
                    "ib", "-o", "wide"], check=True)  # fmt: skip
    say("next:")
    say(f"  export KUBECONFIG={cluster.kubeconfig}")
    say(f"  kubectl -n {NAMESPACE} describe ib {name}")
    for image in images:
        say(f"  .venv/bin/image-composer boot {image}")
    say("  make cluster-down")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
