"""Sixty ImageBuilds at once, on nodes that are pretended: what becomes of them, and what the operator asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import eventually
from support.cluster.tools import build, missing_for_control_plane
from support.load import Figures, Load, Outcome, Trial, is_reading, prepared
from support.operators import condition, reason_of

pytestmark = pytest.mark.cluster

LOAD = Load(
    builds=60, nodes=5, pods_each=8, step_seconds=(0.1, 0.4), namespaces=3, retries=1, settings={"resyncSeconds": 5}
)
"""Twenty of them find no room at first."""

END_SECONDS = 300
"""How long they may take on a busy machine; 25 are usual."""

REQUESTS_EACH = 20
"""What the operator may ask of the API for each ImageBuild, all in all."""


@pytest.fixture(scope="module")
def trial(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """All of them, ended."""
    missing = missing_for_control_plane()
    if missing:
        pytest.skip(missing)
    build("kwok")
    with prepared(tmp_path_factory.mktemp("load") / "plane", tools, LOAD) as ready:
        ready.apply()
        ready.wait(END_SECONDS)
        ready.settle()
        yield ready


@pytest.fixture(scope="module")
def figures(trial: Trial) -> Figures:
    return trial.figures()


def test_all_end_and_say_how(trial: Trial) -> None:
    expected = Counter(str(LOAD.outcome(number)) for number in range(LOAD.builds))
    assert set(expected) == {str(outcome) for outcome in Outcome}
    builds = trial.get("imagebuilds")
    assert Counter(reason_of(found["status"]) for found in builds) == expected
    for found in builds:
        status, published = found["status"], reason_of(found["status"]) == Outcome.PUBLISHED
        assert status["observedGeneration"] == found["metadata"]["generation"]
        assert condition(status, "Ready")["status"] == ("True" if published else "False")
        assert condition(status, "Stalled").get("status") == (None if published else "True")
        assert condition(status, "Reconciling") == {}
        assert condition(status, "Validated")["status"] == "True"
        assert status["finishedAt"] >= status["startedAt"]
        assert status["attempts"] == (2 if reason_of(status) == Outcome.OUTAGE else 1)
        assert status["log"].startswith(status["folder"])
        assert bool(status.get("artifacts")) == published
        states = [stage["state"] for stage in status["stages"]]
        assert states == ["Succeeded"] * len(states) if published else states.count("Failed") == 1


def test_each_has_exactly_one_job(trial: Trial, figures: Figures) -> None:
    owners = Counter(job["metadata"]["ownerReferences"][0]["uid"] for job in trial.get("jobs"))
    assert owners == Counter(found["metadata"]["uid"] for found in trial.get("imagebuilds"))
    assert figures.requests["create jobs"] == LOAD.builds


def test_the_api_is_asked_little_and_nothing_fails(figures: Figures) -> None:
    assert figures.requests_each <= REQUESTS_EACH, figures.requests
    assert figures.errors == {}


def test_the_operator_counts_its_requests_as_the_api_server_does(trial: Trial) -> None:
    """But for those of its watches: each kind is listed once by them."""
    counted = trial.operator.total("image_composer_api_requests_total", "method", "resource")
    seen = trial.requests()
    assert counted["PATCH", "imagebuilds"] == seen["patch imagebuilds/status"]
    assert counted["POST", "jobs"] == seen["create jobs"]
    assert counted["POST", "events"] == seen["create events"]
    assert counted["GET", "events"] == seen["list events"]
    assert counted["GET", "namespaces"] == seen["get namespaces"]


def test_nothing_is_written_once_all_have_ended(trial: Trial) -> None:
    before = trial.requests()

    def was_resynced_twice() -> bool:
        return (trial.requests() - before)["list jobs"] >= 2

    eventually(was_resynced_twice, "everything is listed twice", seconds=60, every=1.0)
    assert [what for what in trial.requests() - before if not is_reading(what)] == []


def test_nor_by_an_operator_that_takes_over(trial: Trial, figures: Figures) -> None:
    before = trial.requests()
    trial.restart()
    trial.settle()
    assert [what for what in trial.requests() - before if not is_reading(what)] == []
