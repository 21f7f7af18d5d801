"""What Helm says to wrong values: the path, and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from support.chart import RefusedError, render

pytestmark = pytest.mark.cluster


def settings(**values: Any) -> dict[str, Any]:
    return {"settings": values}


def build(**values: Any) -> dict[str, Any]:
    return settings(defaults={"build": values})


def s3(**values: Any) -> dict[str, Any]:
    return settings(defaults={"destination": {"s3": {"bucket": "images", **values}}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": 2}, "additional properties 'replicas' not allowed"),
        (
            {"image": {"pullPolicy": "Sometimes"}},
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent'",
        ),
        (
            {"image": {"repository": "registry.example.org/a:1"}},
            "at '/image/repository': 'registry.example.org/a:1' does",
        ),
        ({"image": {"digest": "sha256:abc"}}, "at '/image/digest': 'sha256:abc' does not match pattern"),
        ({"image": {"tag": 1.0}}, "at '/image/tag': got number, want string"),
        ({"imagePullSecrets": ["registry"]}, "at '/imagePullSecrets/0': got string, want object"),
        ({"commonLabels": {"team": True}}, "at '/commonLabels/team': got boolean, want string"),
        ({"podAnnotations": {"a": 1}}, "at '/podAnnotations/a': got number, want string"),
        ({"resources": {"limit": {}}}, "at '/resources': additional properties 'limit' not allowed"),
        ({"resources": {"limits": {"memory": "1 GB"}}}, "at '/resources/limits/memory'"),
        ({"terminationGracePeriodSeconds": 0}, "minimum: got 0, want 5"),
        (settings(worker=4), "at '/settings': additional properties 'worker' not allowed"),
        (settings(builderImage="x"), "at '/settings': additional properties 'builderImage' not allowed"),
        (settings(workers=0), "at '/settings/workers': minimum: got 0, want 1"),
        (settings(namespaces="edge"), "at '/settings/namespaces': got string, want array"),
        (settings(namespaces=["Edge"]), "at '/settings/namespaces/0': 'Edge' does not match pattern"),
        (settings(logLevel="loud"), "value must be one of 'debug', 'info', 'warning', 'error'"),
        (settings(mirrors={"debian": "mirror.example.org"}), "at '/settings/mirrors/debian'"),
        (settings(keys={"elxr": "/etc/keys/elxr.asc"}), "at '/settings/keys/elxr'"),
        (settings(requireNamespaceLabel="no"), "got string, want boolean"),
        (build(timeout="90"), "at '/settings/defaults/build/timeout': '90' does not match pattern"),
        (build(retries=11), "maximum: got 11, want 10"),
        (build(resources={"asemble": {}}), "build/resources': additional properties 'asemble' not allowed"),
        (
            build(resources={"assemble": {"limits": {"ephemeral-storage": "1Gi"}}}),
            "resources/assemble/limits': additional properties 'ephemeral-storage' not allowed",
        ),
        (build(tolerations=[{"operator": "Exist"}]), "value must be one of 'Exists', 'Equal'"),
        (build(workspace={"medium": "tape"}), "value must be one of 'disk', 'memory'"),
        (settings(defaults={"destination": {"bucket": "images"}}), "additional properties 'bucket' not allowed"),
        (s3(bucket="Images"), "'Images' does not match pattern"),
        (s3(endpoint="s3.example.org"), "'s3.example.org' does not match pattern"),
        ({"metrics": {"prometheusRule": {"disabled": ["Down"]}}}, "value must be one of 'ImageComposerDown'"),
        ({"metrics": {"serviceMonitor": {"interval": 30}}}, "got number, want string"),
        ({"networkPolicy": {"builders": {"ports": ["https"]}}}, "got string, want integer"),
        ({"networkPolicy": {"operator": {"metricsPeers": [{"cidr": "10.0.0.0/8"}]}}}, "properties 'cidr' not allowed"),
    ],
)
def test_a_slip_is_refused_with_its_path(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications") as refused:
        render(values=values)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
            "every metric would be read twice",
        ),
        (
            {"metrics": {"serviceMonitor": {"enabled": True}, "service": {"enabled": False}}},
            "needs metrics.service.enabled",
        ),
        ({"networkPolicy": {"builders": {"enabled": True}}}, "Name them in networkPolicy.builders.namespaces"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        render(values=values)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {"global": {"imageRegistry": "registry.example.org"}, "enabled": True},
        settings(defaults={"destination": {}}),
        {"podSecurityContext": {"runAsUser": None, "runAsGroup": None}},
        build(affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
        build(resources={"image": None}),
    ],
)
def test_what_is_right_is_taken(values: dict[str, Any]) -> None:
    render(values=values)
