"""Alerts and dashboard: they speak of metrics that exist, and alerts fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from image_composer_operator.metrics import Metrics
from image_composer_operator.reasons import BuildOutcome, Reason
from support import golden
from support.chart import CHART, PROJECT, Object, objects, only

pytestmark = pytest.mark.cluster

OWN = Metrics("0").registry
METRICS = {
    family.name + ("_total" if family.type == "counter" else ""): set(collector._labelnames)
    for collector in OWN._collector_to_names
    if isinstance(collector, MetricWrapperBase)
    for family in collector.describe()
}
"""The operator's metrics and their labels."""

OF_THE_TARGET = {"namespace", "pod", "job"}
"""Labels that Prometheus adds."""

HISTOGRAMS = {family.name for family in OWN.collect() if family.type == "histogram"}


def rules() -> Object:
    return dict(only(objects(values={"metrics": {"prometheusRule": {"enabled": True}}}), "PrometheusRule")["spec"])


def alerts() -> list[Object]:
    [group] = rules()["groups"]
    return list(group["rules"])


def dashboard() -> Object:
    return dict(json.loads((CHART / "files/dashboard.json").read_text()))


def panels() -> Iterator[Object]:
    yield from (panel for panel in dashboard()["panels"] if panel["type"] != "row")


def dashboard_expressions() -> list[str]:
    variables = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m", "$namespace": ".*"}
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in variables.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def foreign_words(expression: str) -> list[str]:
    """Give what an expression asks for that the operator's metrics don't have."""
    wrong: list[str] = []
    labels = set(OF_THE_TARGET)
    for name, matchers in re.findall(r"(image_composer_[a-z_]+)(\{[^}]*\})?", expression):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if base not in METRICS or (base in HISTOGRAMS) == (base == name):
            wrong.append(name)
            continue
        own = METRICS[base] | ({"le"} if base in HISTOGRAMS else set()) | OF_THE_TARGET
        wrong += [f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*[=!]", matchers) if label not in own]
        labels |= own
    for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        wrong += [label.strip() for label in listed.split(",") if label.strip() not in labels]
    return wrong


def promtool(*words: str | Path, folder: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not on PATH; Debian's package prometheus has it")
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_asked_for_that_does_not_exist_is_found() -> None:
    assert foreign_words("image_composer_builds_total") == []
    assert foreign_words("rate(image_composer_build_total[5m])") == ["image_composer_build_total"]
    assert foreign_words("image_composer_queue_wait_seconds") == ["image_composer_queue_wait_seconds"]
    assert foreign_words('image_composer_builds_active{phase="x"}') == ["image_composer_builds_active{phase}"]
    assert foreign_words("sum by (stage) (image_composer_builds_active)") == ["stage"]


def test_alerts_speak_of_metrics_that_exist() -> None:
    assert {alert["alert"]: foreign_words(alert["expr"]) for alert in alerts() if foreign_words(alert["expr"])} == {}


def test_the_dashboard_speaks_of_metrics_that_exist() -> None:
    assert [words for expression in dashboard_expressions() for words in foreign_words(expression)] == []


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(dashboard_expressions())
    assert [name for name in METRICS if name not in shown] == []


def test_all_of_the_operators_metrics_are_known() -> None:
    assert {name for name in METRICS if not name.startswith("image_composer_")} == set()
    assert METRICS["image_composer_builds_total"] == {"result", "reason", "distribution"}
    assert "image_composer_artifact_bytes" in HISTOGRAMS


def test_alerts_speak_of_reasons_that_exist() -> None:
    named = re.findall(r'(reason|result)!?[=~]+"([^"]+)"', " ".join(alert["expr"] for alert in alerts()))
    for label, values in named:
        assert set(values.split("|")) <= ({*Reason} if label == "reason" else {*BuildOutcome})


def test_alerts_say_how_bad_it_is_and_what_it_means() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert set(alert["annotations"]) == {"summary", "description"}
        assert alert["annotations"]["summary"].endswith(".")


def test_alerts_know_the_resyncs_length() -> None:
    values = {"settings": {"resyncSeconds": 3600}, "metrics": {"prometheusRule": {"enabled": True}}}
    rule = only(objects(values=values), "PrometheusRule")["spec"]["groups"][0]["rules"]
    [late] = [alert for alert in rule if alert["alert"] == "ImageComposerResyncLate"]
    assert late["expr"].endswith("> 7200")
    assert "every 3600 seconds" in late["annotations"]["description"]


def test_the_schema_knows_the_alerts_that_can_be_left_out() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]["disabled"]["items"]["enum"]
    assert known == [alert["alert"] for alert in alerts()]


def test_the_documentation_lists_the_alerts() -> None:
    rows = [
        f"| `{alert['alert']}` | {alert['labels']['severity']} | {alert['annotations']['summary']} |"
        for alert in alerts()
    ]
    table = "\n".join(["| Alert | Severity | Meaning |", "|-------|----------|---------|", *rows, ""])
    golden.check_part(PROJECT / "docs/operator.md", "alerts", table)


def test_the_documentation_lists_the_metrics() -> None:
    text = (PROJECT / "docs/operator.md").read_text()
    for name, labels in METRICS.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == labels, name


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    shutil.copy(Path(__file__).parent / "alerts.yaml", tmp_path)
    promtool("check", "rules", "rules.yaml", folder=tmp_path)
    promtool("test", "rules", "alerts.yaml", folder=tmp_path)


def test_prometheus_understands_the_dashboard(tmp_path: Path) -> None:
    recorded = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(dashboard_expressions())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)


def test_the_dashboard_is_put_in_whole_and_can_be_imported() -> None:
    config = only(
        [
            one
            for one in objects(values={"metrics": {"dashboard": {"enabled": True}}})
            if one["metadata"]["name"].endswith("dashboard")
        ],
        "ConfigMap",
    )
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["image-composer.json"]) == dashboard()
    board = dashboard()
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "namespace"]
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_no_panel_covers_another() -> None:
    taken: dict[tuple[int, int], Any] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
