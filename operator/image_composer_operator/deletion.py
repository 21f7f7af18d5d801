"""What to do with an ImageBuild that is being deleted: end its Jobs, then remove what it published if it says so."""

from __future__ import annotations

from collections.abc import Sequence

from image_composer_operator.actions import (
    CreateCleanup,
    Decision,
    DeleteJob,
    SetFinalizer,
    View,
    end_all,
    standing_status,
)
from image_composer_operator.conditions import Standing
from image_composer_operator.diagnose import why_failed
from image_composer_operator.names import FINALIZER, cleanup_job_name
from image_composer_operator.observe import Job, JobEnd, newest
from image_composer_operator.reasons import Reason

WAIT_FOR_END = 2.0
"""Seconds between looks at Jobs that are ending."""

PAUSE_AFTER_FAILURE = 60.0
"""Seconds between two cleanup Jobs, when the first could not do it."""


def decide_deletion(view: View, jobs: Sequence[Job]) -> Decision:
    """Say what should happen; without our finalizer the cluster does it all by itself."""
    build = view.build
    if not build.has_finalizer:
        return Decision(build.status)
    unfinished = [job for job in jobs if job.end is None or job.deleting]
    if unfinished:
        return _deleting(view, "the build is being ended", WAIT_FOR_END).after(*end_all(unfinished))
    # Without a run there is nothing; without a place nobody can say where.
    if not build.deletes_objects or not view.can_clean or build.status.job_name is None:
        return Decision(build.status, [SetFinalizer(present=False)])
    return _cleaning(view)


def _cleaning(view: View) -> Decision:
    """Decide about the Job that removes what was published."""
    build = view.build
    name = cleanup_job_name(build.name, build.uid)
    cleanup = next((job for job in view.jobs if job.is_cleanup and job.name == name), None)
    message = "the published objects are being removed"
    if cleanup is None:
        return _deleting(view, message, None).after(CreateCleanup())
    if cleanup.end is JobEnd.COMPLETE:
        done = Decision(build.status, [SetFinalizer(present=False)])
        return done if cleanup.deleting else done.after(DeleteJob(cleanup))
    if cleanup.end is JobEnd.FAILED:
        return _failed(view, cleanup)
    return _deleting(view, message, WAIT_FOR_END if cleanup.deleting else None)


def _failed(view: View, cleanup: Job) -> Decision:
    """Try again in a while, and say how to give up."""
    pod = newest(pod for pod in view.pods if pod.job == cleanup.name and pod.phase == "Failed")
    why = why_failed(pod).message if pod else cleanup.end_message
    hint = f"another try follows; to leave the objects, remove the finalizer {FINALIZER}"
    waited = (view.now - (cleanup.ended_at or view.now)).total_seconds()
    decision = _deleting(view, f"the published objects can't be removed: {why}; {hint}", PAUSE_AFTER_FAILURE - waited)
    return decision if waited < PAUSE_AFTER_FAILURE or cleanup.deleting else decision.after(DeleteJob(cleanup))


def _deleting(view: View, message: str, again_after: float | None) -> Decision:
    standing = Standing(Reason.DELETING, message, working=True)
    after = max(again_after, WAIT_FOR_END) if again_after is not None else None
    return Decision(standing_status(view, view.build.status, standing), again_after=after)
