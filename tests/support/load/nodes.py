"""Nodes that kwok pretends to be, and whose pods go through their containers as builder pods do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from support.cluster import ControlPlane, Daemon, eventually

STAGES = Path(__file__).with_name("nodes.yaml")

NODES_SECONDS = 60
"""How long nodes may take to be ready; a second is usual."""

LEASE_SECONDS = 40
"""As a kubelet's: without leases nodes count as lost after a minute, and their pods as disrupted."""


class FakeNodes:
    """A number of nodes."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @classmethod
    def start(
        cls, plane: ControlPlane, tools: Path, *, count: int, pods_each: int, step_seconds: tuple[float, float]
    ) -> FakeNodes:
        """Start kwok, and wait until its nodes are ready.

        Args:
            plane: that they belong to.
            tools: folder of the programs, kwok among them.
            count: of nodes.
            pods_each: pods that a node has room for.
            step_seconds: the least and the most that a container runs, or takes to start.
        """
        stages = plane.folder / "stages.yaml"
        stages.write_text(yaml.safe_dump_all(_stages(step_seconds)))
        argv: list[str | Path] = [
            tools / "kwok",
            "--kubeconfig",
            plane.kubeconfig,
            "--config",
            stages,
            "--manage-all-nodes",
        ]
        argv += [f"--node-lease-duration-seconds={LEASE_SECONDS}"]
        nodes = cls(Daemon.start("kwok", argv, plane.folder / "log/kwok.log", bound=True))
        try:
            made = {"apiVersion": "v1", "kind": "List", "items": [_node(number, pods_each) for number in range(count)]}
            plane.kubectl("create", "-f", "-", input=json.dumps(made))

            def are_ready() -> bool:
                nodes.check()
                ready = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
                return plane.kubectl("get", "nodes", "-o", f"jsonpath={ready}").split() == ["True"] * count

            eventually(are_ready, "all nodes are ready", seconds=NODES_SECONDS, every=0.5, logs=[nodes._daemon.log])
        except BaseException:
            nodes.stop()
            raise
        return nodes

    def check(self) -> None:
        """Fail if kwok has ended."""
        self._daemon.check()

    def stop(self) -> None:
        """Let them be silent from now on."""
        self._daemon.stop()


def _stages(step_seconds: tuple[float, float]) -> list[Any]:
    stages = list(yaml.safe_load_all(STAGES.read_text()))
    least, most = (int(seconds * 1000) for seconds in step_seconds)
    for stage in stages:
        if "delay" in stage["spec"]:
            stage["spec"]["delay"] = {"durationMilliseconds": least, "jitterDurationMilliseconds": most}
    return stages


def _node(number: int, pods: int) -> dict[str, Any]:
    room = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "4Ti", "pods": str(pods)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"node-{number:03}",
            "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
        "status": {"capacity": room, "allocatable": room},
    }
