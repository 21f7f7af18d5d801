"""The Helm chart on an API server: it is taken, its roles give what they should and no more, and it goes as it came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from image_composer.errors import ToolError
from image_composer.run import Runner
from support.builds import build
from support.chart import CHART, NAMESPACE, RELEASE
from support.cluster.controlplane import ControlPlane

OPERATOR = f"--as=system:serviceaccount:{NAMESPACE}:{RELEASE}"
VALUES = {
    "networkPolicy": {"operator": {"enabled": True}, "builders": {"enabled": True, "namespaces": ["edge"]}},
    "metrics": {"dashboard": {"enabled": True}},
}


class Helm:
    """Helm, with the chart and one control plane."""

    def __init__(self, program: Path, plane: ControlPlane, folder: Path) -> None:
        self._program = program
        self._plane = plane
        self._folder = folder

    def __call__(self, *words: str | Path, values: object = None) -> str:
        file = self._folder / "values.yaml"
        file.write_text(yaml.safe_dump(values or {}))
        with_values: list[str | Path] = ["--values", file] if words[0] in ("install", "upgrade") else []
        command = [
            self._program,
            *words,
            *with_values,
            "--namespace",
            NAMESPACE,
            "--kubeconfig",
            self._plane.kubeconfig,
        ]
        return Runner().run(command, env={"HOME": str(self._folder)}, timeout=120).stdout.decode()


@pytest.fixture(scope="module")
def helm(tools: Path, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    for name in (NAMESPACE, "edge", "other"):
        control_plane.kubectl("create", "namespace", name)
    control_plane.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield Helm(tools / "helm", control_plane, tmp_path_factory.mktemp("helm"))
    control_plane.kubectl("delete", "namespace", NAMESPACE, "edge", "other", "--wait=false")


@pytest.fixture
def installed(helm: Helm, control_plane: ControlPlane) -> Iterator[Helm]:
    # Other tests may have put the CustomResourceDefinition there.
    helm("install", RELEASE, CHART, "--take-ownership", values=VALUES)
    yield helm
    helm("uninstall", RELEASE)


def refused(plane: ControlPlane, *words: str) -> str:
    with pytest.raises(ToolError) as caught:
        plane.kubectl(*words)
    return str(caught.value)


def test_what_is_installed_can_be_upgraded_and_goes_but_for_the_definition(
    helm: Helm, control_plane: ControlPlane
) -> None:
    kubectl = control_plane.kubectl
    helm("install", RELEASE, CHART, "--take-ownership", values=VALUES)
    kubectl("-n", NAMESPACE, "get", f"deployment/{RELEASE}", f"networkpolicy/{RELEASE}", f"service/{RELEASE}-metrics")
    kubectl("-n", "edge", "get", f"networkpolicy/{RELEASE}-builders")
    kubectl("-n", "edge", "apply", "-f", "-", input=yaml.safe_dump(build(metadata={"namespace": "edge"})))
    kubectl("delete", "crd/imagebuilds.imagecomposer.dev", "--dry-run=server")
    helm("upgrade", RELEASE, CHART, values={"settings": {"workers": 4}})
    settings = kubectl("-n", NAMESPACE, "get", f"configmap/{RELEASE}-settings", "-o", "jsonpath={.data}")
    assert "workers: 4" in settings
    helm("uninstall", RELEASE)
    left = kubectl("get", "clusterrole,clusterrolebinding", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name")
    assert left == ""
    assert kubectl("-n", "edge", "get", "ib", "-o", "name") == "imagebuild.imagecomposer.dev/edge\n"
    # What was left behind is no obstacle to coming back.
    helm("install", RELEASE, CHART)
    helm("uninstall", RELEASE)
    kubectl("-n", "edge", "delete", "ib/edge")


def test_the_pods_are_let_into_a_restricted_namespace(installed: Helm, control_plane: ControlPlane) -> None:
    found = yaml.safe_load(control_plane.kubectl("-n", NAMESPACE, "get", f"deployment/{RELEASE}", "-o", "yaml"))
    template = found["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "operator"},
        "spec": template["spec"],
    }
    control_plane.kubectl("-n", NAMESPACE, "apply", "--dry-run=server", "-f", "-", input=yaml.safe_dump(pod))


@pytest.mark.parametrize("namespaces", [[], ["edge"]], ids=["everywhere", "in one namespace"])
def test_the_operator_may_what_it_needs_where_it_should(
    helm: Helm, control_plane: ControlPlane, namespaces: list[str]
) -> None:
    kubectl = control_plane.kubectl
    helm("install", RELEASE, CHART, "--take-ownership", values={"settings": {"namespaces": namespaces}})
    try:
        for words in (
            ["get", "ib,jobs,pods"],
            ["get", "events"],
            ["get", "namespace/edge"],
            ["delete", "ib,jobs", "--all"],
            ["auth", "can-i", "patch", "imagebuilds.imagecomposer.dev/x", "--subresource=status"],
            ["auth", "can-i", "update", "imagebuilds.imagecomposer.dev/x", "--subresource=finalizers"],
            ["auth", "can-i", "create", "jobs.batch"],
            ["auth", "can-i", "create", "events"],
        ):
            kubectl("-n", "edge", *words, OPERATOR)
        for words in (
            ["get", "secrets"],
            ["get", "configmaps"],
            ["auth", "can-i", "create", "pods"],
            ["auth", "can-i", "create", "imagebuilds.imagecomposer.dev"],
        ):
            refused(control_plane, "-n", "edge", *words, OPERATOR)
        # The operator asks for these by name.
        assert "NotFound" in refused(control_plane, "-n", "edge", "get", "configmap/lock", OPERATOR)
        elsewhere = [["-n", "other", "get", "ib"], ["get", "namespace/other"], ["-n", "other", "get", "configmap/lock"]]
        for words in elsewhere[:2]:
            if namespaces:
                assert "Forbidden" in refused(control_plane, *words, OPERATOR)
            else:
                kubectl(*words, OPERATOR)
        assert ("Forbidden" if namespaces else "NotFound") in refused(control_plane, *elsewhere[2], OPERATOR)
        refused(control_plane, "get", "namespaces", OPERATOR)
    finally:
        helm("uninstall", RELEASE)


def test_who_may_build_may_nothing_else(installed: Helm, control_plane: ControlPlane) -> None:
    kubectl = control_plane.kubectl
    kubectl("-n", "edge", "create", "rolebinding", "ann", f"--clusterrole={RELEASE}-edit", "--user=ann")
    kubectl("-n", "edge", "create", "rolebinding", "bob", f"--clusterrole={RELEASE}-view", "--user=bob")
    ann, bob = "--as=ann", "--as=bob"
    one = yaml.safe_dump(build(metadata={"namespace": "edge"}))
    kubectl("-n", "edge", "create", "-f", "-", ann, input=one)
    kubectl("-n", "edge", "get", "ib", bob)
    assert "Forbidden" in refused(control_plane, "-n", "edge", "delete", "ib/edge", bob)
    for words in (
        ["create", "pods"],
        ["get", "secrets"],
        ["patch", "imagebuilds.imagecomposer.dev/x", "--subresource=status"],
    ):
        refused(control_plane, "-n", "edge", "auth", "can-i", *words, ann)
    kubectl("-n", "edge", "delete", "ib/edge", ann)
    kubectl("-n", "edge", "delete", "rolebinding", "ann", "bob")
