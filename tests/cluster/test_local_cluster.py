"""What other tests rely on: that the test cluster does what a cluster does, and goes without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import ToolError
from support.cluster import ClusterError, ControlPlane, LocalCluster, S3Server, cgroups, eventually, free_index
from support.cluster.api import wait_until_established
from support.cluster.choose import CONTEXT, Cluster, choose
from support.cluster.place import Place
from support.cluster.tools import missing_for_cluster
from support.hostmirror import mirrors
from support.sandboxes import processes_with

POD_SECONDS = 120
"""How long a pod may take to end on a busy machine; five seconds are usual."""

SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
"""Kernel settings that a node's programs like to change."""


def pod(image: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "command": ["/bin/bash", "-euc", script], **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def run(cluster: Cluster, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Run a pod to its end and give its status."""
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(manifest))

    def ended() -> dict[str, Any] | None:
        status: dict[str, Any] = json.loads(cluster.kubectl("-n", namespace, "get", "pod/probe", "-o", "json"))[
            "status"
        ]
        return status if status["phase"] in ("Succeeded", "Failed") else None

    return eventually(ended, "the pod has ended", seconds=POD_SECONDS, every=0.3)


def said(cluster: Cluster, namespace: str, manifest: Mapping[str, Any]) -> str:
    """Run a pod to its end and give what it printed."""
    status = run(cluster, namespace, manifest)
    printed = cluster.kubectl("-n", namespace, "logs", "pod/probe")
    assert status["phase"] == "Succeeded", printed
    return printed


def test_a_job_runs_to_its_end(cluster: Cluster, namespace: str, probe: str) -> None:
    template = {"spec": pod(probe, "echo done")["spec"]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": template}}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(job))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Complete", "job/one", f"--timeout={POD_SECONDS}s")
    assert cluster.kubectl("-n", namespace, "logs", "job/one") == "done\n"


def test_a_pod_reaches_the_api_server_by_its_service(cluster: Cluster, namespace: str, probe: str) -> None:
    script = "exec 3<>/dev/tcp/$KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT; echo $KUBERNETES_SERVICE_HOST"
    printed = said(cluster, namespace, pod(probe, script))
    assert printed.strip() == cluster.kubectl("get", "service/kubernetes", "-o", "jsonpath={.spec.clusterIP}")


@pytest.mark.network
def test_a_pod_reaches_the_package_mirror_by_its_name(cluster: Cluster, namespace: str, probe: str) -> None:
    found = re.match(r"http://([^/:]+)", mirrors(os.environ).get("debian", ""))
    if not found:
        pytest.skip("no mirror with an http address: name one in IMAGE_COMPOSER_MIRROR_DEBIAN")
    assert said(cluster, namespace, pod(probe, f"exec 3<>/dev/tcp/{found[1]}/80; echo reached")) == "reached\n"


def test_a_pod_that_outgrows_its_volume_is_evicted(cluster: Cluster, namespace: str, probe: str) -> None:
    script = "dd if=/dev/zero of=/scratch/big bs=1M count=24; sleep 300"
    manifest = pod(
        probe,
        script,
        container={"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]},
        volumes=[{"name": "scratch", "emptyDir": {"sizeLimit": "8Mi"}}],
    )
    status = run(cluster, namespace, manifest)
    assert status["reason"] == "Evicted"
    assert 'EmptyDir volume "scratch" exceeds the limit "8Mi"' in status["message"]


def test_a_pod_that_outgrows_its_storage_is_evicted(cluster: Cluster, namespace: str, probe: str) -> None:
    script = "dd if=/dev/zero of=/tmp/big bs=1M count=24; sleep 300"
    limits = {"limits": {"ephemeral-storage": "8Mi"}}
    status = run(cluster, namespace, pod(probe, script, container={"resources": limits}))
    assert status["reason"] == "Evicted"
    assert "ephemeral" in status["message"]


def test_a_container_that_outgrows_its_memory_is_killed(cluster: Cluster, namespace: str, probe: str) -> None:
    container = {"resources": {"limits": {"memory": "32Mi"}}}
    status = run(cluster, namespace, pod(probe, "dd if=/dev/zero of=/dev/null bs=200M count=1", container=container))
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def test_a_pod_sees_files_of_this_machine(cluster: Cluster, namespace: str, probe: str) -> None:
    if not isinstance(cluster, LocalCluster):
        pytest.skip("the nodes of this cluster are other machines")
    manifest = pod(
        probe,
        "cat /host/debian_version",
        container={"volumeMounts": [{"name": "host", "mountPath": "/host", "readOnly": True}]},
        volumes=[{"name": "host", "hostPath": {"path": "/etc"}}],
    )
    assert said(cluster, namespace, manifest) == Path("/etc/debian_version").read_text()


def test_the_namespace_decides_whether_a_pod_may_be_privileged(cluster: Cluster, namespace: str, probe: str) -> None:
    privileged = json.dumps(pod(probe, "", container={"securityContext": {"privileged": True}}))
    apply = ("-n", namespace, "apply", "--dry-run=server", "-f", "-")
    cluster.kubectl(*apply, input=privileged)
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "--overwrite", "namespace", namespace, restricted)
    with pytest.raises(ToolError, match="violates PodSecurity"):
        cluster.kubectl(*apply, input=privileged)


def test_a_pod_reaches_the_s3_server(cluster: Cluster, namespace: str, probe: str, s3: S3Server) -> None:
    script = f"exec 3<>/dev/tcp/{s3.address}/{s3.port}; printf 'GET /images HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    assert re.match(r"HTTP/1.[01] 403 ", said(cluster, namespace, pod(probe, script)))  # it has no key


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_the_s3_server_keeps_objects_when_it_restarts(tools: Path, tmp_path: Path, tls: bool) -> None:
    with S3Server.start(tmp_path / "s3", tools / "versitygw", tls=tls, buckets=["images"]) as server:
        server.client().put_object(Bucket="images", Key="a/b", Body=b"content")
        server.stop()
        server.restart()
        assert server.client().get_object(Bucket="images", Key="a/b")["Body"].read() == b"content"
        assert (server.objects / "images/a/b").read_bytes() == b"content"


def test_the_control_plane_checks_objects_by_their_definition(control_plane: ControlPlane) -> None:
    field = {"type": "integer", "x-kubernetes-validations": [{"rule": "self % 2 == 0", "message": "must be even"}]}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"number": field}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "probes", "singular": "probe", "kind": "Probe"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "probes.tests.imagecomposer.dev"},
        "spec": {"group": "tests.imagecomposer.dev", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(definition))
    wait_until_established(control_plane.kubectl, "probes.tests.imagecomposer.dev")
    odd = {"apiVersion": "tests.imagecomposer.dev/v1", "kind": "Probe", "metadata": {"name": "odd"}}

    def refused() -> str | None:
        try:
            control_plane.kubectl("create", "-f", "-", input=json.dumps({**odd, "spec": {"number": 3}}))
        except ToolError as error:
            # A definition is served a moment after it is established.
            return error.message if "invalid" in error.message else None
        raise AssertionError("an odd number was taken")

    assert "must be even" in eventually(refused, "the object is refused", seconds=30)


def test_a_cluster_of_the_users_is_left_alone_unless_it_is_named(control_plane: ControlPlane, tmp_path: Path) -> None:
    theirs = {"KUBECONFIG": str(control_plane.kubeconfig)}
    with pytest.raises(ClusterError, match="the current context is control-plane: nothing is done"):
        choose({**theirs, CONTEXT: "another"}, tmp_path)
    named = choose({**theirs, CONTEXT: "control-plane"}, tmp_path)
    assert named
    assert "default" in named.kubectl("get", "namespaces", "-o", "name")


OWNER = """
import sys, time
from pathlib import Path
from support.cluster import LocalCluster
LocalCluster.start(Path(sys.argv[1]), Path(sys.argv[2]), name="orphan", index=int(sys.argv[3]))
print("up", flush=True)
time.sleep(600)
"""


def traces(folder: Path, place: Place) -> dict[str, object]:
    """Give all of this machine that a cluster has its hands in; other clusters may come and go meanwhile."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    rules = subprocess.run(["iptables-save"], capture_output=True, check=True, text=True).stdout.splitlines()
    return {
        "processes": processes_with(str(folder)),
        "mounts": [line for line in mounts if str(folder) in line],
        "interface": place.taken,
        "groups": cgroups.groups(place.cgroup),
        "rules": [rule for rule in rules if place.network in rule or place.link in rule],
        "settings": [(Path("/proc/sys") / name).read_text() for name in SETTINGS],
        "folders": [Path(name).exists() for name in ("/var/lib/kubelet", "/var/log/pods", "/var/lib/cni", str(folder))],
    }


@pytest.mark.parametrize("end", ["stopped", "owner killed"])
def test_a_cluster_goes_without_a_trace(tools: Path, tmp_path: Path, end: str) -> None:
    lacking = missing_for_cluster()
    if lacking:
        pytest.skip(lacking)
    folder, place = tmp_path / "traces", Place(free_index(first=100))
    before = traces(folder, place)
    if end == "stopped":
        with LocalCluster.start(folder, tools, name="brief", index=place.index) as cluster:
            assert traces(folder, place) != before
            assert cluster.kubectl("get", "nodes", "-o", "name") == "node/node1\n"
    else:
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, folder, tools, str(place.index)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
        )
        assert owner.stdout
        assert owner.stdout.readline() == b"up\n"
        assert traces(folder, place) != before
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    eventually(lambda: traces(folder, place) == before, "no trace of the cluster is left", seconds=30)
