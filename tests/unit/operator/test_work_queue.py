"""The queue of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from image_composer_operator.work_queue import WorkQueue


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 10))


def test_what_is_added_twice_comes_once() -> None:
    async def body() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add("a")
        queue.add("b")
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert len(queue) == 0

    run(body())


def test_the_earlier_time_counts() -> None:
    async def body() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("late", 60)
        queue.add("soon", 0.05)
        queue.add("late", 0.01)
        assert [await queue.get(), await queue.get()] == ["late", "soon"]

    run(body())


def test_what_is_worked_on_comes_again_only_when_that_is_done() -> None:
    async def body() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "b"
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.done("a")
        assert await waiting == "a"

    run(body())


def test_many_workers_share_the_work() -> None:
    async def body() -> None:
        queue: WorkQueue[int] = WorkQueue()
        seen: list[int] = []
        at_work: set[int] = set()

        async def work() -> None:
            while True:
                item = await queue.get()
                assert item not in at_work
                at_work.add(item)
                await asyncio.sleep(0)
                at_work.discard(item)
                seen.append(item)
                queue.done(item)

        workers = [asyncio.create_task(work()) for _ in range(8)]
        for item in range(200):
            queue.add(item % 50, delay=(item % 7) / 1000)
        while len(set(seen)) < 50 or len(queue):
            await asyncio.sleep(0.001)
        for worker in workers:
            worker.cancel()

    run(body())
