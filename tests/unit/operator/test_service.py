"""Whether the operator is alive, and what it counts as work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from image_composer_operator import service as module
from image_composer_operator.cluster import Cluster, Page
from image_composer_operator.metrics import Metrics
from image_composer_operator.model import Body
from image_composer_operator.service import Service
from support.builds import SETTINGS, build, decided, job, pod, published_states, running, up_to


class Lists(Cluster):
    """A cluster of which only lists are asked: what a watch does not show can't be had from a real one at will."""

    def __init__(self, *builds: Body) -> None:
        self.builds = builds

    async def pages(
        self, resource: Any, namespace: str | None, selector: str = "", fields: str = ""
    ) -> AsyncIterator[Page]:
        for body in self.builds if resource == "imagebuilds" else ():
            yield Page([body], "1000")
        yield Page([], "1000")


def made(*builds: Body) -> Service:
    return Service(Lists(*builds), SETTINGS, Metrics("1"), "test")


def later(version: str) -> Body:
    return build(metadata={"resourceVersion": version})


def test_an_operator_whose_watch_is_behind_a_list_for_long_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        service = made(later("100"))
        await service.resync()
        assert service.problems() == []
        service.cluster = Lists(later("200"))
        await service.resync()
        assert service.problems() == []  # it may only be slow
        monkeypatch.setattr(module, "DEAF_SECONDS", -1.0)
        assert "a watch is 0 s behind" in service.problems()
        service.saw("imagebuilds", "MODIFIED", later("200"))
        monkeypatch.setattr(module, "DEAF_SECONDS", 0.0)
        assert service.problems() == []

    asyncio.run(body())


def test_an_object_that_is_gone_keeps_no_watch_behind() -> None:
    async def body() -> None:
        service = made(later("100"))
        await service.resync()
        service.cluster = Lists(later("200"))
        await service.resync()
        service.cluster = Lists()
        await service.resync()
        assert service._lateness() == 0

    asyncio.run(body())


def test_a_resync_looks_at_every_imagebuild_and_forgets_what_is_gone() -> None:
    async def body() -> None:
        service = made(later("100"))
        await service.resync()
        assert await service.queue.get() == ("images", "edge")
        service.queue.done(("images", "edge"))
        service.cluster = Lists()
        await service.resync()
        assert list(service.index.builds()) == []

    asyncio.run(body())


def test_active_builds_are_those_that_somebody_works_at() -> None:
    async def body() -> None:
        waiting = {**build(), "status": decided(build()).status.as_json()}
        suspended = build(suspend=True, metadata={"name": "b", "uid": "b"})
        suspended["status"] = decided(suspended).status.as_json()
        service = made(waiting, suspended)
        await service.resync()
        service.measure()
        counted = {
            sample.labels["state"]: sample.value
            for metric in service.metrics.active.collect()
            for sample in metric.samples
        }
        assert counted == {"queued": 1, "running": 0}

    asyncio.run(body())


def test_the_end_of_a_pod_waits_for_what_its_job_says() -> None:
    async def body() -> None:
        service = Service(Lists(), SETTINGS.model_copy(update={"settle_seconds": 0.0}), Metrics("1"), "test")
        of = build()
        service.index.put("imagebuilds", of, "list")
        at_work = job(of, active=1)
        done_pod = pod(at_work, published_states(at_work, of), phase="Running")
        service.saw("pods", "ADDED", pod(at_work, up_to("fetch", running()), name="other"))
        assert await asyncio.wait_for(service.queue.get(), 1) == ("images", "edge")
        service.queue.done(("images", "edge"))
        service.saw("pods", "ADDED", done_pod)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.queue.get(), 0.1)
        service.saw("jobs", "ADDED", at_work)
        assert await asyncio.wait_for(service.queue.get(), 1) == ("images", "edge")

    asyncio.run(body())
