"""What holds for all tests: in which order they come, which share a process, and how long they may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.boots import BOOTS
from support.spreading import GroupScheduling

pytest_plugins = ["support.buckets"]

CLUSTER = Path(__file__).with_name("cluster")
IMAGES = Path(__file__).with_name("image")

SECONDS = {CLUSTER: 2400, IMAGES: 1800}
"""How long a test may take, with what it waits for.

The first of the cluster's may have to wait until its programs are built: a quarter of an hour, once. A machine that
updates itself under TCG took a quarter of an hour beside two others.
"""

settings.register_profile("shared", deadline=None)  # how long an example takes depends on who else uses the machine
settings.load_profile("shared")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the cluster, say how long tests may take, and put them in order.

    The cluster's take longest, so they begin first where several processes run. In one process they come last: their
    programs are built beside the other tests.
    """
    for item in items:
        if item.path.is_relative_to(CLUSTER):
            item.add_marker("cluster")
        for folder, seconds in SECONDS.items():
            if item.path.is_relative_to(folder) and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(seconds))
    is_spread = hasattr(config, "workerinput") or bool(config.getoption("numprocesses", None))
    items.sort(key=lambda item: ((item.get_closest_marker("cluster") is None) == is_spread, -slowness(item)))


def slowness(item: pytest.Item) -> int:
    """Say what should begin early: what takes long by itself would otherwise run alone at the end."""
    return sum(item.get_closest_marker(mark) is not None for mark in ("build", "network"))


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Say how tests are spread over processes."""
    return GroupScheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what machines took to the process that writes the report."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["boots"] = session.config.stash.get(BOOTS, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take it there."""
    node.config.stash.setdefault(BOOTS, []).extend(getattr(node, "workeroutput", {}).get("boots", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it."""
    for line in terminalreporter.config.stash.get(BOOTS, []):
        terminalreporter.write_line(line)
