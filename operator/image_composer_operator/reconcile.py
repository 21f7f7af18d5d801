"""One look at one ImageBuild: gather what is known, let `decide` decide, carry it out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from image_composer.errors import Problem, SpecError
from image_composer.spec.destination import Destination, S3Destination
from image_composer.spec.layers.compose import Surroundings
from image_composer_operator.actions import (
    Action,
    CreateCleanup,
    CreateJob,
    Decision,
    DeleteJob,
    SetFinalizer,
    View,
    standing_status,
)
from image_composer_operator.bases import Bases
from image_composer_operator.cluster import ApiError, Cluster
from image_composer_operator.conditions import Standing
from image_composer_operator.decide import decide
from image_composer_operator.index import Index, Key
from image_composer_operator.job import DOCUMENT_BYTES, build_job, cleanup_job, document
from image_composer_operator.merge_patch import merge_patch
from image_composer_operator.metrics import Metrics
from image_composer_operator.model import Body, ImageBuild, Plan, make_plan, read_build
from image_composer_operator.names import FINALIZER, NAMESPACE_ALLOWED, NAMESPACE_LABEL
from image_composer_operator.observe import Pod, Warned, newest, read_pod
from image_composer_operator.reasons import ConditionType, Reason
from image_composer_operator.recent import Recent
from image_composer_operator.settings import OperatorSettings
from image_composer_operator.status import BuildStatus

LOG = logging.getLogger(__name__)

NAMESPACE_SECONDS = 30.0
"""How long a namespace's label is taken for granted: hundreds of ImageBuilds may be in it."""

WARNINGS_SECONDS = 2.0
"""How long the warnings of a namespace are taken for all there are. The API server looks through every Event of the
namespace to answer, and hundreds of builds may be waiting in it."""

REFUSED_AGAIN = 30.0
"""Seconds after which a Job that the cluster refused is tried again."""

QUIET = frozenset({Reason.QUEUED})
"""Reasons that are no news: a build is queued whenever it begins."""


@dataclass
class Reconciler:
    """Reconciles ImageBuilds, each by itself."""

    cluster: Cluster
    index: Index
    settings: OperatorSettings
    metrics: Metrics
    instance: str
    """Name of this operator's pod, for events."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _allowed: Recent[str, bool] = field(init=False)
    _warned: Recent[str, Mapping[str, Sequence[Warned]]] = field(init=False)
    _bases: Bases = field(init=False)

    def __post_init__(self) -> None:
        """Make what remembers answers about namespaces: many ImageBuilds of one ask at the same time."""
        self._allowed = Recent(self._ask_allowed, lambda allowed: NAMESPACE_SECONDS if allowed else 1.0)
        self._warned = Recent(self.cluster.warnings, lambda _: WARNINGS_SECONDS)
        self._bases = Bases(self.cluster, self.index)

    async def reconcile(self, key: Key) -> float | None:
        """Look at an ImageBuild once.

        Returns:
            Seconds after which it wants to be looked at again, whatever happens.

        Raises:
            ApiError: the API did not do what it should; trying again later is safe.
        """
        body = self.index.build(key)
        if body is None:
            return None
        build = read_build(body)
        lock_sha256, lock_missing = await self._lock(build)
        surroundings, base_missing = await self._bases.surroundings(build)
        if (
            (lock_missing or base_missing)
            and build.status.finished_at
            and build.status.observed_generation == build.generation
        ):
            return None  # what is finished needs them no more
        # What builds on others may be large; then it must not keep the others waiting.
        plan = (
            self._plan(build, lock_sha256, None)
            if surroundings is None
            else await asyncio.to_thread(self._plan, build, lock_sha256, surroundings)
        )
        view = View(
            build=build,
            plan=plan,
            jobs=self.index.jobs_of(build.uid),
            pods=await self._pods(build),
            now=self.clock(),
            builder_image=self.settings.builder_image,
            namespace_allowed=await self._is_allowed(build),
            lock_missing=lock_missing,
            base_missing=base_missing,
            can_clean=self._destination(build) is not None,
        )
        decision = decide(view)
        if decision.wants_warnings:
            view = replace(view, warnings=await self._warnings(view))
            decision = decide(view)
        return await self._carry_out(view, decision)

    def _plan(self, build: ImageBuild, lock_sha256: str | None, surroundings: Surroundings | None) -> Plan | SpecError:
        allowed = self.settings.allowed_host_paths
        try:
            plan = make_plan(build, self.settings.defaults, lock_sha256, allowed, surroundings)
        except SpecError as error:
            return error
        size = len(document(build, plan).encode())
        if size > DOCUMENT_BYTES:
            message = f"is too large for a builder pod: {size} bytes of at most {DOCUMENT_BYTES}"
            return SpecError([Problem("spec.image", message)])
        return plan

    async def _lock(self, build: ImageBuild) -> tuple[str | None, str]:
        """Give the digest of the lock that the spec refers to, or why there is none."""
        reference = (build.body.get("spec") or {}).get("lockRef")
        if not isinstance(reference, dict) or not isinstance(reference.get("name"), str) or build.deleting:
            return None, ""
        name, key = reference["name"], str(reference.get("key") or "lock.json")
        digest = await self.cluster.config_digest(build.namespace, name, key)
        if digest is None:
            return None, f"the ConfigMap {name} of spec.lockRef, or its key {key}, is not there"
        return digest, ""

    async def _pods(self, build: ImageBuild) -> Sequence[Pod]:
        """Give the build's pods; asks the API when a Job has ended whose last pod the watch has not shown ending."""
        pods = self.index.pods_of(build.uid)
        for job in self.index.jobs_of(build.uid):
            last = newest(pod for pod in pods if pod.job == job.name)
            if job.end is not None and (last is None or not last.ended) and build.status.finished_at is None:
                for body in await self.cluster.list_pods(build.namespace, job.name):
                    self.index.put("pods", body, "answer")
                    pods = [pod for pod in pods if pod.name != body["metadata"]["name"]] + [read_pod(body)]
        return pods

    async def _is_allowed(self, build: ImageBuild) -> bool:
        """Say whether the namespace lets privileged pods be made for it."""
        if not self.settings.require_namespace_label or build.deleting:
            return True
        return await self._allowed.get(build.namespace)

    async def _ask_allowed(self, namespace: str) -> bool:
        labels = await self.cluster.namespace_labels(namespace)
        return labels.get(NAMESPACE_LABEL) == NAMESPACE_ALLOWED

    async def _warnings(self, view: View) -> Sequence[Warned]:
        """Ask what the cluster says about the Job, or about its pod once there is one."""
        assert isinstance(view.plan, Plan)
        job = next(job for job in view.jobs if job.name == view.plan.job)
        pod = newest(pod for pod in view.pods if pod.job == job.name and not pod.ended)
        return (await self._warned.get(view.build.namespace)).get(pod.uid if pod else job.uid, ())

    def _destination(self, build: ImageBuild) -> S3Destination | None:
        """Give where an ImageBuild publishes to, though the rest of its spec may be wrong."""
        given = (build.body.get("spec") or {}).get("destination")
        try:
            destination = Destination.model_validate(given) if given else self.settings.defaults.destination
        except ValidationError:
            return None
        return destination.s3 if destination else None

    async def _carry_out(self, view: View, decision: Decision) -> float | None:
        again, status = decision.again_after, decision.status
        body: Body = view.build.body
        for action in decision.actions:
            if isinstance(action, SetFinalizer):
                body = await self._set_finalizer(body, present=action.present)
                if view.build.deleting:
                    return None
                continue
            refused = await self._act(view, action)
            if refused is not None:
                again = REFUSED_AGAIN if refused.working else None
                status = standing_status(view, status, refused)
        written = await self._write(view, body, status)
        self.metrics.reconciles.labels("changed" if written or decision.actions else "unchanged").inc()
        return again

    async def _act(self, view: View, action: Action) -> Standing | None:
        """Do one thing; give how the build stands if the cluster refused it for good reason."""
        build = view.build
        if isinstance(action, CreateJob):
            assert isinstance(view.plan, Plan)
            return await self._create(view, build_job(build, view.plan, self.settings))
        if isinstance(action, CreateCleanup):
            destination = self._destination(build)
            assert destination is not None
            return await self._create(view, cleanup_job(build, destination, self.settings))
        if isinstance(action, DeleteJob):
            await self.cluster.delete_job(build.namespace, action.job.name, action.job.uid)
        else:
            await self.cluster.delete_build(build.body)
        return None

    async def _create(self, view: View, manifest: dict[str, Any]) -> Standing | None:
        """Make a Job; one of that name that is ours already is as good."""
        build, name = view.build, manifest["metadata"]["name"]
        try:
            self.index.put("jobs", await self.cluster.create_job(manifest), "answer")
        except ApiError as error:
            if error.reason == "AlreadyExists":
                existing = await self.cluster.get("jobs", build.namespace, name)
                if existing is not None:
                    self.index.put("jobs", existing, "answer")
                return None
            if build.deleting and error.status == 403:
                # The namespace goes too: no pod can run in it any more, and a finalizer would keep it for ever.
                LOG.warning("%s/%s: published objects stay: %s", build.namespace, build.name, error.message)
                await self._set_finalizer(build.body, present=False)
                return None
            return _refusal(error)
        return None

    async def _set_finalizer(self, body: Body, *, present: bool) -> Body:
        others = [name for name in body["metadata"].get("finalizers") or () if name != FINALIZER]
        answer = await self.cluster.patch_finalizers(body, [*others, FINALIZER] if present else others)
        if not answer["metadata"].get("deletionTimestamp") or answer["metadata"].get("finalizers"):
            self.index.put("imagebuilds", answer, "answer")
        return answer

    async def _write(self, view: View, body: Body, status: BuildStatus) -> bool:
        """Write a status where it differs, tell people about a change of reason, and count an end."""
        stored = body.get("status") or {}
        patch = merge_patch(stored, status.as_json())
        if not patch:
            return False
        answer = await self.cluster.patch_status(body, patch)
        self.index.put("imagebuilds", answer, "answer")
        former, ready = view.build.status.condition(ConditionType.READY), status.condition(ConditionType.READY)
        if view.build.status.started_at is None and status.started_at is not None:
            self._count_wait(view, status)
        ended_before = view.build.status.finished_at is not None and view.build.status.job_name == status.job_name
        if status.finished_at is not None and not ended_before:
            self.metrics.finished(status, _distribution(view.build))
        if ready is not None and (former is None or former.reason != ready.reason) and ready.reason not in QUIET:
            await self._tell(view, answer, status)
        return True

    def _count_wait(self, view: View, status: BuildStatus) -> None:
        job = next((job for job in view.jobs if job.name == status.job_name), None)
        if job is not None and status.started_at is not None:
            self.metrics.queue_seconds.observe(max(0.0, (status.started_at - job.created_at).total_seconds()))

    async def _tell(self, view: View, body: Body, status: BuildStatus) -> None:
        """Post an Event; it is news, not a record, so a failure doesn't matter."""
        ready = status.condition(ConditionType.READY)
        assert ready is not None
        good = ready.reason in (Reason.SUCCEEDED, Reason.RUNNING, Reason.SUSPENDED, Reason.CANCELLED, Reason.DELETING)
        kind = "Normal" if good else "Warning"
        try:
            await self.cluster.post_event(
                body, kind=kind, reason=ready.reason, message=ready.message, instance=self.instance
            )
        except ApiError as error:
            LOG.warning("%s/%s: no event: %s", view.build.namespace, view.build.name, error.message)


def needs_nothing(build: ImageBuild) -> bool:
    """Say whether a build has come to its end as its spec is now, so that what the spec refers to may be gone."""
    status = build.status
    ready = status.condition(ConditionType.READY)
    is_waiting = ready is not None and ready.reason is Reason.MISSING_BASE
    return status.finished_at is not None and status.observed_generation == build.generation and not is_waiting


def _refusal(error: ApiError) -> Standing:
    """Give how a build stands whose Job the cluster refuses.

    Raises:
        ApiError: nothing says that the Job is at fault.
    """
    if error.status in (400, 422):
        return Standing(Reason.INVALID_SPEC, f"the cluster refuses the Job: {error.message}", stuck=True)
    if error.status == 403 and "quota" in error.message:
        return Standing(Reason.QUOTA_EXCEEDED, error.message, working=True)
    if error.status == 403:
        return Standing(Reason.CONTAINER_CONFIG_ERROR, f"the cluster refuses the Job: {error.message}", working=True)
    raise error


def _distribution(build: ImageBuild) -> str:
    """Give the distribution for a label; the spec may be anything."""
    try:
        return str(build.body["spec"]["image"]["target"]["distribution"])[:32]
    except (KeyError, TypeError):
        return "unknown"
