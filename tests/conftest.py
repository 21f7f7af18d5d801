"""What holds for all tests: which come last, and how long they may take."""

from __future__ import annotations

from pathlib import Path

import pytest

CLUSTER = Path(__file__).with_name("cluster")

CLUSTER_SECONDS = 2400
"""The first of the cluster's tests may have to wait until its programs are built: a quarter of an hour, once."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the cluster and run it last: its programs are built beside the other tests."""
    for item in items:
        if item.path.is_relative_to(CLUSTER):
            item.add_marker("cluster")
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(CLUSTER_SECONDS))
    items.sort(key=lambda item: item.get_closest_marker("cluster") is not None)
