"""The operator as a process of its own, with the rights that the chart gives it and no more."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from support import chart
from support.cluster import ControlPlane, Daemon, eventually, free_port

PROGRAM = Path(sys.executable).with_name("image-composer-operator")

ACCOUNT = f"system:serviceaccount:{chart.NAMESPACE}:{chart.RELEASE}"
"""The user that the API server sees."""

RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")

START_SECONDS = 60
"""How long it may take to be ready on a busy machine; two seconds are usual."""


class OperatorProcess:
    """A running operator."""

    def __init__(self, daemon: Daemon, port: int) -> None:
        self.daemon = daemon
        self._port = port

    @classmethod
    def start(cls, plane: ControlPlane, kubeconfig: Path, settings: Mapping[str, Any]) -> OperatorProcess:
        """Start the operator and wait until it is ready.

        Args:
            plane: the cluster, with the CRD.
            kubeconfig: whose rights it has, see `give_rights`.
            settings: of its settings file; the required ones have values.
        """
        port = free_port()
        file = plane.folder / "settings.yaml"
        file.write_text(json.dumps({"builderImage": "registry.example/builder:1", "metricsPort": port, **settings}))
        argv: list[str | Path] = ["env", f"KUBECONFIG={kubeconfig}", PROGRAM, "run", "--settings", file]
        log = plane.folder / "log/operator.log"
        operator = cls(Daemon.start("the operator", argv, log, bound=True), port)
        try:

            def is_ready() -> bool:
                operator.daemon.check()
                try:
                    return operator._get("readyz") == "ok"
                except OSError:
                    return False

            eventually(is_ready, "the operator is ready", seconds=START_SECONDS, logs=[log])
        except BaseException:
            operator.stop()
            raise
        return operator

    def metrics(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Give its metrics: name, labels and value."""
        for family in text_string_to_metric_families(self._get("metrics")):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def total(self, metric: str, *by: str) -> Counter[tuple[str, ...]]:
        """Give the sums of a metric by some of its labels."""
        sums: Counter[tuple[str, ...]] = Counter()
        for name, labels, value in self.metrics():
            if name == metric:
                sums[tuple(labels[label] for label in by)] += int(value)
        return sums

    @property
    def peak_mib(self) -> float:
        """The most memory that it ever had, see proc(5)."""
        lines = Path(f"/proc/{self.daemon.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it took."""
        fields = Path(f"/proc/{self.daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/{path}", timeout=30) as answer:
            text: str = answer.read().decode()
        return text


def give_rights(plane: ControlPlane) -> Path:
    """Give the operator its account, as the chart would, and write the kubeconfig of it."""
    plane.kubectl("create", "namespace", chart.NAMESPACE)
    rights = [found for found in chart.objects() if found["kind"] in RIGHTS]
    plane.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": rights}))
    account = ("-n", chart.NAMESPACE, "create", "token", chart.RELEASE, "--duration=4h")
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": plane.kubectl(*account).strip()}
    file = plane.folder / "operator.kubeconfig"
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    return file
