"""What holds for all tests: which of them share a process, in which order they come, and how long they may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.boots import BOOTS

CLUSTER = Path(__file__).with_name("cluster")

CLUSTER_SECONDS = 2400
"""The first of the cluster's tests may have to wait until its programs are built: a quarter of an hour, once."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs the cluster, and give each test its group: those of one group run in one process, in turn."""
    if item.path.is_relative_to(CLUSTER):
        item.add_marker("cluster")
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(CLUSTER_SECONDS))
    item.add_marker(pytest.mark.xdist_group(group_of(item)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests in order.

    The cluster's take longest, so they begin first where several processes run. In one process they come last: their
    programs are built beside the other tests.
    """
    is_spread = hasattr(config, "workerinput") or bool(config.getoption("numprocesses", None))
    items.sort(key=lambda item: ((group_of(item) == "cluster") != is_spread, -slowness(item)))


def group_of(item: pytest.Item) -> str:
    """Give the group of a test: what is made for many tests is made once in it."""
    if item.get_closest_marker("cluster"):
        return "cluster"
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if "release" in parameters and "image" in item.path.parts:
        return f"image-{parameters['release']}"
    return item.path.relative_to(item.config.rootpath).as_posix()


def slowness(item: pytest.Item) -> int:
    """Say what should begin early: what takes long by itself would otherwise run alone at the end."""
    return sum(item.get_closest_marker(mark) is not None for mark in ("build", "network"))


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
