"""The chart's manifests, as people read them; `UPDATE_GOLDEN=1 pytest tests/unit/chart` writes them anew."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_composer.spec.document import check_manifest
from image_composer_operator.settings import OperatorSettings, check_settings
from support import golden
from support.chart import CHART, KUBERNETES, RELEASE, objects, only, render, settings_file
from support.tools import helm

pytestmark = pytest.mark.cluster

HERE = Path(__file__).parent
VALUES = sorted((HERE / "values").glob("*.yaml"))
WITHOUT_CRD = {"crds": {"install": False}}


def settings(**values: Any) -> OperatorSettings:
    return check_settings(yaml.safe_load(settings_file(objects(values={"settings": values}))))


def rendered_notes(values: dict[str, Any], folder: Path) -> str:
    """Give the notes, which `helm template` leaves out and `helm install` shows with a cluster only."""
    templates = folder / "image-composer/templates"
    shutil.copytree(CHART, templates.parent)
    notes = (templates / "NOTES.txt").read_text()
    (templates / "_notes.tpl").write_text(f'{{{{- define "notes" }}}}{notes}{{{{ end }}}}')
    (templates / "notes.yaml").write_text('kind: Notes\ntext: {{ include "notes" . | quote }}')
    return str(only(objects(values=values, chart=templates.parent), "Notes")["text"])


def pod(*files: Path, values: object = None) -> dict[str, Any]:
    return dict(only(objects(*files, values=values), "Deployment")["spec"]["template"])


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
def test_the_manifests_are_the_golden_ones(values: Path) -> None:
    golden.check(HERE / "golden" / values.name, render(values, values=WITHOUT_CRD))


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
def test_helm_finds_nothing_to_blame(values: Path) -> None:
    command: list[str | Path] = [helm(), "lint", "--strict", "--kube-version", KUBERNETES, "--values", values, CHART]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
def test_every_object_has_a_namespace_of_its_own_and_the_charts_labels(values: Path) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    found = objects(values)
    for one in found:
        assert ("namespace" in one["metadata"]) == (one["kind"] not in cluster_wide), one["metadata"]
        assert one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
def test_the_operator_takes_its_settings(values: Path) -> None:
    read = check_settings(yaml.safe_load(settings_file(objects(values))))
    assert read.metrics_port == pod(values)["spec"]["containers"][0]["ports"][0]["containerPort"]


def test_settings_are_the_operators_defaults_unless_the_chart_has_a_reason() -> None:
    rendered = settings()
    own = OperatorSettings(builder_image=rendered.builder_image)
    differing = {name for name in OperatorSettings.model_fields if getattr(rendered, name) != getattr(own, name)}
    assert differing == {"defaults"}
    assert rendered.defaults.destination is None


def test_what_is_said_of_a_stage_is_added_to_its_default() -> None:
    build = settings(defaults={"build": {"resources": {"assemble": {"limits": {"cpu": "4"}}}}}).defaults.build
    limits = build.resources["assemble"].limits
    assert (limits.cpu, limits.memory) == ("4", "2Gi")


def test_a_change_of_settings_restarts_the_operator_and_nothing_else_does() -> None:
    def checksum(values: object) -> str:
        return str(pod(values=values)["metadata"]["annotations"]["checksum/settings"])

    assert checksum(None) == checksum({"podLabels": {"a": "b"}})
    assert checksum(None) != checksum({"settings": {"workers": 4}})
    assert checksum(None) != checksum({"builder": {"image": {"tag": "2"}}})


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "image-composer-operator:0.1.0"),
        ({"tag": "2"}, "image-composer-operator:2"),
        ({"repository": "registry.example.org:5000/a/b_c"}, "registry.example.org:5000/a/b_c:0.1.0"),
        ({"digest": f"sha256:{'a' * 64}"}, f"image-composer-operator@sha256:{'a' * 64}"),
        ({"tag": "2", "digest": f"sha256:{'a' * 64}"}, f"image-composer-operator:2@sha256:{'a' * 64}"),
    ],
)
def test_an_image_is_referred_to_by_tag_or_digest(image: dict[str, str], reference: str) -> None:
    assert pod(values={"image": image})["spec"]["containers"][0]["image"] == reference


def test_the_custom_resource_definition_is_the_file_and_stays_unless_told_otherwise() -> None:
    file = yaml.safe_load((CHART / "files/imagebuilds.yaml").read_text())
    kept = only(objects(), "CustomResourceDefinition")
    assert kept["spec"] == file["spec"]
    assert kept["metadata"]["name"] == file["metadata"]["name"]
    assert kept["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    going = only(objects(values={"crds": {"keep": False}}), "CustomResourceDefinition")
    assert "helm.sh/resource-policy" not in going["metadata"]["annotations"]


def test_labels_that_pods_are_found_by_can_not_be_overridden() -> None:
    wrong = {"app.kubernetes.io/instance": "other", "app.kubernetes.io/component": "other"}
    deployment = only(objects(values={"commonLabels": wrong, "podLabels": wrong}), "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert selector["app.kubernetes.io/component"] == "operator"


def test_services_and_monitors_find_the_operator_and_not_the_test_pod() -> None:
    found = objects(values={"metrics": {"serviceMonitor": {"enabled": True}}})
    operator = only(found, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    test = only(found, "Pod")["metadata"]["labels"].items()
    service = only(found, "Service")
    assert service["spec"]["selector"].items() <= operator
    assert not service["spec"]["selector"].items() <= test
    monitor = only(found, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        ({}, ["create namespace images", "imagecomposer.dev/builds=allowed", "bucket: images"], ["WARNING"]),
        ({"settings": {"namespaces": ["edge"]}}, ["builds in: edge", "-n edge get"], ["create namespace", "WARNING"]),
        ({"settings": {"requireNamespaceLabel": False}}, ["WARNING"], ["imagecomposer.dev/builds=allowed"]),
        ({"settings": {"defaults": {"destination": {"s3": {"bucket": "b-1"}}}}}, ["kind: ImageBuild"], ["bucket:"]),
        ({"crds": {"install": False}}, ["is not part of this release"], []),
    ],
)
def test_the_notes_say_what_to_do_next(
    values: dict[str, Any], said: list[str], unsaid: list[str], tmp_path: Path
) -> None:
    notes = rendered_notes(values, tmp_path)
    assert all(words in notes for words in said), notes
    assert not any(words in notes for words in unsaid), notes
    assert max(map(len, notes.splitlines())) <= 120


@pytest.mark.parametrize("destination", [{}, {"s3": {"bucket": "b-1"}}], ids=["no default", "a default"])
def test_the_image_in_the_notes_is_right(destination: dict[str, Any], tmp_path: Path) -> None:
    notes = rendered_notes({"settings": {"defaults": {"destination": destination}}}, tmp_path)
    manifest = textwrap.dedent(notes.partition("<<'END'\n")[2].partition("       END\n")[0])
    document = check_manifest(yaml.safe_load(manifest))
    assert (document.request.destination is None) == bool(destination)
