"""What to make of the Job of a run: it waits, works, has succeeded or has failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from image_composer.spec.base import format_size
from image_composer_operator.actions import Decision, View, standing_status
from image_composer_operator.conditions import Standing
from image_composer_operator.diagnose import Finding, why_failed, why_waiting
from image_composer_operator.model import Plan
from image_composer_operator.observe import Job, JobEnd, Pod, newest
from image_composer_operator.progress import observed, published
from image_composer_operator.reasons import ConditionType, Reason
from image_composer_operator.status import BuildStatus

QUIET_START = 2.5
"""Seconds that a pod may take to show up and to start before the cluster is asked what keeps it."""

SLOWEST_LOOK = 30.0
"""Longest time in seconds between two questions about the same wait."""

VALID = Standing(Reason.SUCCEEDED, "the spec is valid", ready=True)

COUNTING = frozenset({Reason.UNSCHEDULABLE, Reason.QUOTA_EXCEEDED})
"""Reasons whose sentences count what others use at the moment."""

DEADLINE = "DeadlineExceeded"
"""The Job controller's word for a Job that took too long."""


def decide_job(view: View, plan: Plan, status: BuildStatus, job: Job) -> Decision:
    """Say how a run with a Job stands."""
    pods = [pod for pod in view.pods if pod.job == job.name]
    status = observed(status, job, pods)
    if job.end is JobEnd.COMPLETE:
        return _succeeded(view, plan, status, job, pods)
    if job.end is JobEnd.FAILED:
        return _failed(view, status, job, pods)
    return _unfinished(view, status, job, pods)


def _succeeded(view: View, plan: Plan, status: BuildStatus, job: Job, pods: Sequence[Pod]) -> Decision:
    done = newest(pod for pod in pods if pod.phase == "Succeeded")
    status = published(status, plan.destination, plan.folder, done)
    status = status.model_copy(update={"finished_at": job.ended_at or view.now})
    standing = Standing(Reason.SUCCEEDED, success_text(status), ready=True)
    return Decision(standing_status(view, status, standing, VALID))


def _failed(view: View, status: BuildStatus, job: Job, pods: Sequence[Pod]) -> Decision:
    finding = failure_of(status, job, pods)
    status = status.model_copy(update={"finished_at": job.ended_at or view.now})
    standing = Standing(finding.reason, finding.message, stuck=True)
    valid = standing if finding.reason is Reason.INVALID_SPEC else VALID
    return Decision(standing_status(view, status, standing, valid))


def failure_of(status: BuildStatus, job: Job, pods: Sequence[Pod]) -> Finding:
    """Say why a Job failed."""
    pod = newest(pod for pod in pods if pod.phase == "Failed")
    if job.end_reason == DEADLINE:
        during = f" during {status.stage}" if status.stage else ""
        hint = "raise spec.build.timeout"
        return Finding(Reason.DEADLINE_EXCEEDED, f"the build took longer than its timeout{during}; {hint}")
    if pod is None:
        return Finding(Reason.BUILD_FAILED, f"the Job failed: {job.end_message or job.end_reason}")
    found = why_failed(pod)
    tries = f" (the last of {job.failed} tries)" if job.failed > 1 else ""
    return replace(found, message=f"{found.message}{tries}")


def _unfinished(view: View, status: BuildStatus, job: Job, pods: Sequence[Pod]) -> Decision:
    alive = newest(pod for pod in pods if not pod.ended and not pod.deleting)
    standing = _steady(status, _standing(job, alive, pods, view))
    decided = Decision(standing_status(view, status, Standing(standing.reason, standing.message, working=True), VALID))
    return _watched(decided, view, job, alive)


def _standing(job: Job, alive: Pod | None, pods: Sequence[Pod], view: View) -> Finding:
    if job.suspended:
        return Finding(Reason.QUEUED, "waiting in its queue")
    waiting = why_waiting(job, alive, view.warnings or ())
    if waiting is not None:
        return waiting
    if alive is not None and alive.has_begun:
        return Finding(Reason.RUNNING, _running_text(alive))
    lost = newest(pod for pod in pods if pod.ended or pod.deleting)
    if lost is not None and alive is None:
        return _between(job, lost, pods)
    return Finding(Reason.QUEUED, "waiting for the builder pod to start")


def _steady(status: BuildStatus, found: Finding) -> Finding:
    """Keep a sentence of which only numbers differ: those of nodes change with every pod that comes or goes."""
    ready = status.condition(ConditionType.READY)
    if found.reason not in COUNTING or ready is None or ready.reason != found.reason:
        return found
    same = re.sub(r"\d+", "0", ready.message) == re.sub(r"\d+", "0", found.message)
    return replace(found, message=ready.message) if same else found


def _between(job: Job, last: Pod, pods: Sequence[Pod]) -> Finding:
    """Say how a run stands whose last pod has ended, a second or two before the Job says what it makes of that."""
    if last.phase == "Succeeded" or job.ending:
        return Finding(Reason.RUNNING, _running_text(last))
    found = why_failed(last)
    if found.reason is Reason.DISRUPTED:
        return Finding(Reason.DISRUPTED, f"another try follows; {found.message}")
    # A failure that the Job has not counted may be the one too many.
    if job.failed < sum(pod.phase == "Failed" and not pod.disrupted for pod in pods):
        return Finding(Reason.RUNNING, _running_text(last))
    return Finding(Reason.RETRYING, f"another try follows; {found.message}")


def _running_text(pod: Pod) -> str:
    running = [container.name for container in pod.containers[1:] if container.state == "running"]
    ended = [container for container in pod.containers[1:] if container.state == "terminated"]
    if running:
        return f"{running[-1]} is running"
    if not ended:
        return "the builder pod is starting"
    return f"{ended[-1].name} {'has failed' if ended[-1].exit_code else 'is done'}"


def _watched(decision: Decision, view: View, job: Job, pod: Pod | None) -> Decision:
    """Let somebody ask what keeps a pod from starting, more rarely the longer it takes."""
    if job.suspended or (pod is not None and (pod.has_begun or not pod.scheduled)):
        return decision
    if pod is None and (job.active or job.ending):
        return decision  # the Job has its pod; the news of it, or of its end, are on their way
    since = pod.created_at if pod is not None else job.created_at
    waited = (view.now - since).total_seconds()
    if waited < QUIET_START:
        return replace(decision, again_after=QUIET_START - waited + 0.1)
    return replace(decision, again_after=min(SLOWEST_LOOK, max(3.0, waited / 3)), wants_warnings=True)


def success_text(status: BuildStatus) -> str:
    """Give the sentence about a published image."""
    count = len(status.artifacts)
    size = format_size(sum(artifact.size for artifact in status.artifacts))
    files = f"{count} image file{'' if count == 1 else 's'} of {size} " if count else ""
    reused = "; the same had been published before" if status.reused else ""
    return f"published {files}in {status.folder}{reused}"
