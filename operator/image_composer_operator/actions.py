"""What a decision is made of, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from image_composer.errors import SpecError
from image_composer_operator.conditions import Standing, conditions
from image_composer_operator.model import ImageBuild, Plan
from image_composer_operator.observe import Job, Pod, Warned
from image_composer_operator.status import BuildStatus


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Make the Job of the plan."""


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete a Job with its pods."""

    job: Job


@dataclass(frozen=True, slots=True)
class CreateCleanup:
    """Make the Job that removes what was published."""


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Let the ImageBuild have our finalizer, or not."""

    present: bool


@dataclass(frozen=True, slots=True)
class DeleteBuild:
    """Delete the ImageBuild: it has been finished for as long as the user wants to keep it."""


Action = CreateJob | DeleteJob | CreateCleanup | SetFinalizer | DeleteBuild


@dataclass(frozen=True, slots=True)
class View:
    """All that a decision is made of."""

    build: ImageBuild
    plan: Plan | SpecError
    """What the spec asks for, or what is wrong with it."""

    jobs: Sequence[Job]
    """All of the build, cleanup Jobs too."""

    pods: Sequence[Pod]
    """All of those Jobs."""

    now: datetime
    builder_image: str
    namespace_allowed: bool = True
    lock_missing: str = ""
    """Sentence about the lock of lockRef, when it can't be had."""

    base_missing: str = ""
    """Sentence about what the image builds on, when it can't be had; nobody knows then what the spec asks for."""

    can_clean: bool = True
    """Whether it is known where the published objects lie."""

    warnings: Sequence[Warned] | None = None
    """The cluster's, about the Job or its pod, oldest first; absent when nobody has asked yet."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done."""

    status: BuildStatus
    actions: Sequence[Action] = ()
    again_after: float | None = None
    """Seconds after which to decide anew though nothing may have happened."""

    wants_warnings: bool = False
    """Whether the cluster's warnings could explain more."""

    def after(self, *actions: Action) -> Decision:
        """Give the decision with actions that come before its own."""
        return replace(self, actions=[*actions, *self.actions])


def standing_status(view: View, status: BuildStatus, standing: Standing, valid: Standing | None = None) -> BuildStatus:
    """Give a status with the conditions that say how the build stands."""
    generation = view.build.generation
    made = conditions(status.conditions, standing, valid, generation=generation, now=view.now)
    return status.model_copy(update={"conditions": made, "observed_generation": generation})


def end_all(jobs: Sequence[Job]) -> list[Action]:
    """Give the actions that end Jobs which have not ended yet."""
    return [DeleteJob(job) for job in jobs if job.end is None and not job.deleting]
