"""What should happen to an ImageBuild: pure, from what the cluster shows to actions and a status.

Level-triggered: the same decision comes out however often, by whomever and after whatever gap it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from image_composer.errors import SpecError
from image_composer.spec.base import parse_duration
from image_composer.spec.location import object_uri
from image_composer_operator.actions import (
    Action,
    CreateJob,
    Decision,
    DeleteBuild,
    SetFinalizer,
    View,
    end_all,
    standing_status,
)
from image_composer_operator.conditions import Standing
from image_composer_operator.deletion import decide_deletion
from image_composer_operator.model import Plan
from image_composer_operator.names import NAMESPACE_ALLOWED, NAMESPACE_LABEL
from image_composer_operator.observe import Job
from image_composer_operator.progress import interrupted, new_run, observed
from image_composer_operator.reasons import ConditionType, Reason
from image_composer_operator.running import VALID, decide_job, success_text
from image_composer_operator.status import BuildStatus

WAIT_FOR_END = 2.0
"""Seconds between looks at a Job that is ending."""

WAIT_FOR_LOCK = 15.0
"""Seconds between looks for a lock, or for what a document builds on, that isn't there: ConfigMaps are not watched."""

WAIT_FOR_NAMESPACE = 60.0
"""Seconds between looks at a namespace that may not build: namespaces are not watched."""

PASSING = frozenset({Reason.CANCELLED, Reason.SUSPENDED})
"""Reasons for which a run that has ended can begin again under the same name."""


def decide(view: View) -> Decision:
    """Say what should happen; touches nothing.

    A Job of an older spec is ended before a new one is made, so that two never write to one folder.
    """
    build, plan = view.build, view.plan
    mine = [job for job in view.jobs if not job.is_cleanup]
    if build.deleting:
        return decide_deletion(view, mine)
    wanted = build.deletes_objects
    first: list[Action] = [] if build.has_finalizer == wanted else [SetFinalizer(wanted)]
    if view.base_missing:
        return _without_base(view).after(*first)
    if isinstance(plan, SpecError):
        return _invalid(view, plan, mine).after(*first)
    former = [job for job in mine if job.name != plan.job and (job.end is None or job.deleting)]
    current = next((job for job in mine if job.name == plan.job), None)
    return _of_run(view, plan, current, former).after(*first, *end_all(former))


def _without_base(view: View) -> Decision:
    """Decide while it can't be known what is asked for; what runs goes on."""
    standing = Standing(Reason.MISSING_BASE, view.base_missing, working=True)
    return Decision(standing_status(view, view.build.status, standing), again_after=WAIT_FOR_LOCK)


def _invalid(view: View, error: SpecError, jobs: Sequence[Job]) -> Decision:
    problems = [str(problem) for problem in error.problems]
    message = problems[0] if len(problems) == 1 else f"{len(problems)} problems: " + "; ".join(problems)
    standing = Standing(Reason.INVALID_SPEC, message, stuck=True)
    return Decision(standing_status(view, view.build.status, standing, standing), end_all(jobs))


def _of_run(view: View, plan: Plan, current: Job | None, former: Sequence[Job]) -> Decision:
    """Decide about the run that a valid spec asks for."""
    over = _over(view, plan)
    if over is not None:
        return over
    status = view.build.status
    if status.job_name != plan.job:
        status = new_run(status, plan, view.builder_image)
    if current is not None and current.end is not None and not current.deleting:
        return decide_job(view, plan, status, current)
    halted = _halted(view, plan, status, current)
    if halted is not None:
        return halted
    if former or (current is not None and current.deleting):
        standing = Standing(Reason.QUEUED, "waiting for the former build to end", working=True)
        return Decision(standing_status(view, status, standing, VALID), again_after=WAIT_FOR_END)
    if current is not None:
        return decide_job(view, plan, status, current)
    return _start(view, status)


def _over(view: View, plan: Plan) -> Decision | None:
    """Decide about a run whose end the status tells."""
    status, valid = view.build.status, VALID
    if is_published(status, plan):
        standing = Standing(Reason.SUCCEEDED, success_text(status), ready=True)
    elif is_settled(status, plan):
        ready = status.condition(ConditionType.READY)
        reason, message = (ready.reason, ready.message) if ready else (Reason.BUILD_FAILED, "")
        standing = Standing(reason, message, stuck=True)
        valid = standing if reason is Reason.INVALID_SPEC else VALID
    else:
        return None
    status = standing_status(view, status, standing, valid)
    ttl = plan.spec.retention.ttl_after_finished
    if ttl is None or status.finished_at is None:
        return Decision(status)
    left = (status.finished_at + timedelta(seconds=parse_duration(ttl)) - view.now).total_seconds()
    return Decision(status, again_after=left) if left > 0 else Decision(status, [DeleteBuild()])


def is_published(status: BuildStatus, plan: Plan) -> bool:
    """Say whether a status speaks of a finished result that is the very one that is asked for."""
    folder = object_uri(plan.destination, plan.folder)
    return status.result is not None and status.content_digest == plan.content_digest and status.folder == folder


def is_settled(status: BuildStatus, plan: Plan) -> bool:
    """Say whether a status tells how this very run has ended, so that it is not tried again.

    Its Job may be long gone. A run that was stopped, not failed, can go on.
    """
    ready = status.condition(ConditionType.READY)
    stopped = ready is not None and ready.reason in PASSING
    return status.job_name == plan.job and status.finished_at is not None and not stopped


def _halted(view: View, plan: Plan, status: BuildStatus, current: Job | None) -> Decision | None:
    """Decide about a run that its user doesn't want to go on."""
    if plan.spec.cancel:
        standing = Standing(Reason.CANCELLED, "ended by spec.cancel", stuck=True)
        status = status.model_copy(update={"finished_at": status.finished_at or view.now})
    elif plan.spec.suspend:
        standing = Standing(Reason.SUSPENDED, "waits until spec.suspend is taken back")
    else:
        return None
    if current is not None:
        pods = [pod for pod in view.pods if pod.job == current.name]
        status = observed(status, current, pods)
    status = interrupted(status, view.now)
    ended = end_all([current] if current else [])
    return Decision(standing_status(view, status, standing, VALID), ended)


def _start(view: View, status: BuildStatus) -> Decision:
    """Decide about a run that has no Job yet."""
    if not view.namespace_allowed:
        namespace = view.build.namespace
        hint = f"kubectl label namespace {namespace} {NAMESPACE_LABEL}={NAMESPACE_ALLOWED}"
        message = f"the namespace {namespace} may not run builds, which are privileged; its owner can allow it: {hint}"
        standing = Standing(Reason.NAMESPACE_NOT_ALLOWED, message, stuck=True)
        return Decision(standing_status(view, status, standing, VALID), again_after=WAIT_FOR_NAMESPACE)
    if view.lock_missing:
        standing = Standing(Reason.MISSING_LOCK, view.lock_missing, working=True)
        return Decision(standing_status(view, status, standing, VALID), again_after=WAIT_FOR_LOCK)
    # It may have been stopped before: then it begins anew.
    status = status.model_copy(update={"finished_at": None, "started_at": None})
    standing = Standing(Reason.QUEUED, "waiting for the builder pod to start", working=True)
    return Decision(standing_status(view, status, standing, VALID), [CreateJob()])
