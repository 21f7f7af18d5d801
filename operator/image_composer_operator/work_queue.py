"""Keys that wait for work: each at most once in the queue and at most once in work, now or later."""

from __future__ import annotations

import asyncio
import heapq
from typing import Generic, TypeVar

Item = TypeVar("Item")


class WorkQueue(Generic[Item]):
    """A queue of distinct items with due times, for one event loop.

    An item that is added again while it waits moves to the earlier of both times; one that is added while it is
    worked on comes back when that is done.
    """

    def __init__(self) -> None:
        self._due: dict[Item, float] = {}
        self._heap: list[tuple[float, int, Item]] = []
        self._count = 0
        self._working: set[Item] = set()
        self._again: set[Item] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Give how many items wait."""
        return len(self._due)

    def add(self, item: Item, delay: float = 0.0) -> None:
        """Let an item be worked on after some seconds."""
        due = asyncio.get_running_loop().time() + delay
        if due < self._due.get(item, float("inf")):
            self._due[item] = due
            self._count += 1
            heapq.heappush(self._heap, (due, self._count, item))
            self._changed.set()

    async def get(self) -> Item:
        """Give the next item that is due; `done` must be called with it afterwards."""
        while True:
            found, wait = self._next()
            if found is not None:
                return found
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    def done(self, item: Item) -> None:
        """Let an item be worked on again, which it is at once if it was due meanwhile."""
        self._working.discard(item)
        if item in self._again:
            self._again.discard(item)
            self.add(item)

    def _next(self) -> tuple[Item | None, float | None]:
        """Give an item that is due and in nobody's work, or else the seconds until one may be."""
        now = asyncio.get_running_loop().time()
        while self._heap:
            due, _, item = self._heap[0]
            if self._due.get(item) == due:
                if due > now:
                    return None, due - now
                del self._due[item]
                if item not in self._working:
                    heapq.heappop(self._heap)
                    self._working.add(item)
                    return item, None
                self._again.add(item)
            heapq.heappop(self._heap)  # taken up, moved or forgotten
        return None, None
