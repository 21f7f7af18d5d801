"""The running operator: the queue that events fill, the workers that empty it, and the slow resync of everything."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from image_composer_operator.cluster import ApiError, Cluster
from image_composer_operator.index import Index, Key, Kind
from image_composer_operator.metrics import Metrics
from image_composer_operator.model import Body
from image_composer_operator.names import SELECTOR
from image_composer_operator.observe import has_worked
from image_composer_operator.reasons import ConditionType
from image_composer_operator.reconcile import Reconciler
from image_composer_operator.settings import OperatorSettings
from image_composer_operator.work_queue import WorkQueue

LOG = logging.getLogger(__name__)

KINDS: Sequence[tuple[Kind, str]] = (("imagebuilds", ""), ("jobs", SELECTOR), ("pods", SELECTOR))
"""What is watched and listed, with the label selector."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before an ImageBuild is tried again whose reconciling failed: doubled with each failure in a row."""

JOB_FOLLOWS = 2.5
"""Seconds that news of a pod's end wait longer: the Job controller takes one to notice, and its word counts."""

CONFLICT = 409

DEAF_SECONDS = 120.0
"""How far a watch may be behind a list before it counts as dead; the API sends what changes within a second."""


@dataclass
class Service:
    """All that runs beside the watches."""

    cluster: Cluster
    settings: OperatorSettings
    metrics: Metrics
    instance: str
    index: Index = field(default_factory=Index)
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once everything has been listed: before that, an absent Job means nothing."""

    _failures: dict[Key, int] = field(default_factory=dict)
    _late: dict[str, tuple[Body, float]] = field(default_factory=dict)
    _resynced_at: float = field(default_factory=time.monotonic)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Start the workers and the resync."""
        reconciler = Reconciler(self.cluster, self.index, self.settings, self.metrics, self.instance)
        loops = [self._resync_for_ever(), *(self._work(reconciler) for _ in range(self.settings.workers))]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """Stop everything; what was half done is done again by the next operator."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.cluster.close()

    def saw(self, kind: Kind, change: str | None, body: Body) -> None:
        """Take what a watch shows, and let the ImageBuild that it is about be looked at."""
        key = self.index.remove(kind, body) if change == "DELETED" else self.index.put(kind, body, "watch")
        late = self._late.get(body["metadata"]["uid"])
        if late is not None and not self.index.behind(late[0]):
            del self._late[body["metadata"]["uid"]]
        if key is not None:
            self.queue.add(key, self._patience(kind, body))

    def _patience(self, kind: Kind, body: Body) -> float:
        """Give for how long news may gather: a new ImageBuild or spec at once; pods say much in little time."""
        if kind == "imagebuilds":
            return 0.0
        return self.settings.settle_seconds + (JOB_FOLLOWS if kind == "pods" and has_worked(body) else 0.0)

    def problems(self) -> list[str]:
        """Say what is wrong with this process, so that it had better be started anew."""
        found = []
        age = time.monotonic() - self._resynced_at
        if age > 3 * self.settings.resync_seconds + 60:
            found.append(f"nothing has been listed for {age:.0f} s")
        if self._lateness() > DEAF_SECONDS:
            found.append(f"a watch is {self._lateness():.0f} s behind")
        found += ["a task has ended" for task in self._tasks if task.done()]
        return found

    def measure(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.resync_age.set(time.monotonic() - self._resynced_at)
        self.metrics.watch_age.set(self._lateness())
        counts = {"queued": 0, "running": 0}
        for _, body in self.index.builds():
            status = body.get("status") or {}  # not a model: of a thousand, reading takes 60 ms or more
            active = any(condition["type"] == ConditionType.RECONCILING for condition in status.get("conditions") or ())
            if status.get("jobName") and active:
                counts["running" if status.get("startedAt") else "queued"] += 1
        for state, count in counts.items():
            self.metrics.active.labels(state).set(count)

    def _lateness(self) -> float:
        return max((time.monotonic() - since for _, since in self._late.values()), default=0.0)

    async def _work(self, reconciler: Reconciler) -> None:
        await self.synced.wait()
        while True:
            key = await self.queue.get()
            started = time.monotonic()
            try:
                again = await reconciler.reconcile(key)
            except ApiError as error:
                await self._failed(key, error)
            except Exception:
                # A defect of ours must not take the worker with it, nor the other ImageBuilds.
                LOG.exception("%s/%s: a defect of ours", *key)
                self.metrics.reconcile_errors.labels("internal").inc()
                self._again(key)
            else:
                self._failures.pop(key, None)
                if again is not None:
                    self.queue.add(key, again)
            finally:
                self.metrics.reconcile_seconds.observe(time.monotonic() - started)
                self.queue.done(key)

    async def _failed(self, key: Key, error: ApiError) -> None:
        """Try again later; after a conflict, with the object as it is now."""
        if error.status in (404, CONFLICT):
            await self._refresh(key)
            return
        LOG.warning("%s/%s: %s", *key, error.message)
        self.metrics.reconcile_errors.labels("api").inc()
        self.metrics.reconciles.labels("error").inc()
        self._again(key)

    async def _refresh(self, key: Key) -> None:
        """Read an ImageBuild anew: somebody else has changed it, or it is gone."""
        try:
            body = await self.cluster.get("imagebuilds", *key)
        except ApiError as error:
            LOG.warning("%s/%s: %s", *key, error.message)
            self._again(key)
            return
        held = self.index.build(key)
        if body is None:
            if held is not None:
                self.index.remove("imagebuilds", held)
            return
        self.index.put("imagebuilds", body, "answer")
        self.queue.add(key, 0.1)

    def _again(self, key: Key) -> None:
        count = self._failures.get(key, 0)
        self._failures[key] = min(count + 1, 10)
        self.queue.add(key, min(LONGEST_PAUSE, FIRST_PAUSE * 2**count))

    async def _resync_for_ever(self) -> None:
        while True:
            try:
                await self.resync()
            except ApiError as error:
                LOG.warning("can't list: %s", error.message)
                self.metrics.reconcile_errors.labels("resync").inc()
                await asyncio.sleep(5.0)
            else:
                await asyncio.sleep(self.settings.resync_seconds)

    async def resync(self) -> None:
        """List everything, note what the watches have missed, and look at every ImageBuild.

        Raises:
            ApiError: something can't be listed.
        """
        present: set[str] = set()
        namespaces: Sequence[str | None] = self.settings.namespaces or [None]
        for kind, selector in KINDS:
            for namespace in namespaces:
                uids: set[str] = set()
                version = ""
                async for page in self.cluster.pages(kind, namespace, selector):
                    for body in page.items:
                        self._compare(body)
                        self.index.put(kind, body, "list")
                        uids.add(body["metadata"]["uid"])
                    version = page.version
                present |= uids
                for key in self.index.keep_only(kind, namespace, uids, version):
                    self.queue.add(key)
        self._late = {uid: late for uid, late in self._late.items() if uid in present}
        first = not self.synced.is_set()
        for key, _ in self.index.builds():
            # Spread, so that a thousand finished ImageBuilds are no burst; the first time nobody should wait.
            spread = random.uniform(0, self.settings.resync_seconds / 10)  # noqa: S311 - no secret, only less at once
            self.queue.add(key, 0.0 if first else spread)
        self._resynced_at = time.monotonic()
        self.synced.set()

    def _compare(self, body: Body) -> None:
        """Note an object that the watch has not shown in this version."""
        uid = body["metadata"]["uid"]
        if self.synced.is_set() and self.index.behind(body):
            self._late.setdefault(uid, (body, time.monotonic()))
