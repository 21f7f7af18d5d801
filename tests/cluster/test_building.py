"""An ImageBuild on a real node: what a user sees from `kubectl apply` to a machine that boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cluster import S3Server
from support.countingmirror import CountingMirror
from support.operators import Builds, message_of, objects, reason_of, tiny

pytestmark = [pytest.mark.cluster, pytest.mark.network, pytest.mark.build]

EXAMPLE = Path(__file__).parents[2] / "examples/debian-12.yaml"


def test_builds_at_once_on_one_node_all_succeed_and_fetch_each_package_once(
    builds: Builds, mirror: CountingMirror, s3: S3Server
) -> None:
    names = ["one", "two", "three"]
    for name in names:
        builds.apply(name, tiny(name))
    for name in names:
        status = builds.wait_for_end(name, seconds=400)
        assert reason_of(status) == "Succeeded", message_of(status)
        folder = status["folder"].removeprefix("s3://images/")
        assert f"{folder}result.json" in objects(s3, folder)
    fetched = {path: count for path, count in mirror.wanted.items() if path.endswith(".deb")}
    assert len(fetched) > 50
    assert {path: count for path, count in fetched.items() if count > 1} == {}
