"""What a thousand ImageBuilds at once cost the operator and the API, on nodes that are pretended.

Reported, never asserted: `make bench`. The smaller trial in tests/cluster/test_load.py asserts.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from support.cluster.tools import build, missing_for_building, missing_for_control_plane
from support.load import Figures, Load, prepared

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(7200)]

BUILDS = int(os.environ.get("BENCH_BUILDS", "1000"))
STEP_SECONDS = (1.0, 5.0)
"""Each container of a pod takes so long: with its start that makes about half a minute a build."""

END_SECONDS = 3600
NODES = 25

ROOMS = {"room for all at once": 110, "room for a fifth at once": max(1, BUILDS // 5 // NODES)}
"""Pods that each node takes; 110 is a kubelet's own limit."""


@pytest.mark.parametrize("room", ROOMS)
def test_many_builds_at_once(room: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = missing_for_building() or missing_for_control_plane()
    if missing:
        pytest.skip(missing)
    tools = build("kubernetes", "helm", "kwok")
    load = Load(builds=BUILDS, nodes=NODES, pods_each=ROOMS[room], step_seconds=STEP_SECONDS)
    with prepared(tmp_path / "plane", tools, load) as trial:
        trial.apply()
        trial.wait(END_SECONDS)
        trial.settle()
        figures = trial.figures()
        before, started = trial.requests(), time.monotonic()
        trial.restart()
        seconds, again = time.monotonic() - started, trial.requests() - before
        peak = trial.operator.peak_mib
    with capsys.disabled():
        print(f"\n\n{BUILDS} ImageBuilds on {NODES} pretended nodes, {room}, {os.cpu_count()} cores")
        for name, value in shown(figures):
            print(f"{name:<48} {value}")
        print(f"{'a new operator: seconds until it knows them all':<48} {seconds:.0f}, {peak:.0f} MiB, {listed(again)}")


def shown(figures: Figures) -> list[tuple[str, str]]:
    """Give the figures, each with its name."""
    builds = figures.reasons.total()
    own = figures.own_count.total() / builds
    return [
        ("terminal, by reason", listed(figures.reasons)),
        ("Jobs, pods", f"{figures.jobs}, {figures.pods}"),
        ("seconds until all were applied", f"{figures.applying_seconds:.0f}"),
        ("seconds until the last Job was made", f"{figures.last_job_seconds:.0f}"),
        ("seconds until the last build had ended", f"{figures.last_end_seconds:.0f}"),
        ("longest wait for a Job, seconds", f"{figures.job_wait_seconds:.0f}"),
        ("longest wait for an end to be written, seconds", f"{figures.end_wait_seconds:.0f}"),
        ("API requests per ImageBuild (aim: under 20)", f"{figures.requests_each:.1f}; by its own count {own:.1f}"),
        ("  by kind", listed(Counter({what: n for what, n in figures.requests.items() if n > builds / 100}))),
        ("  watches begun", str(figures.watches)),
        ("Events posted per ImageBuild", f"{figures.requests['create events'] / builds:.1f}"),
        ("looks at an ImageBuild, by outcome", listed(figures.reconciles)),
        ("errors", listed(figures.errors) or "none"),
        ("the operator's peak memory (aim: under 300)", f"{figures.peak_mib:.0f} MiB"),
        ("the operator's CPU seconds", f"{figures.cpu_seconds:.0f}"),
    ]


def listed(counts: Counter[str]) -> str:
    """Give counts, the largest first."""
    return ", ".join(f"{what}: {count}" for what, count in counts.most_common())
