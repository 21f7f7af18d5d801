"""The pipeline, as data: the stages in order, what each reads and what it writes.

All run in one process on a laptop, and each in a container of its own in a pod; both call `run_stage`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from image_composer.steps.assemble import assemble_root
from image_composer.steps.attest import attest
from image_composer.steps.build import Build
from image_composer.steps.fetch import fetch_packages
from image_composer.steps.image import make_images
from image_composer.steps.publish import publish_results
from image_composer.steps.resolve import lock_packages
from image_composer.steps.validate import validate


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage."""

    name: str
    summary: str
    """For people, while it runs."""

    reads: tuple[str, ...]
    """Files and folders of the workspace that it needs."""

    writes: tuple[str, ...]
    """Files and folders of the workspace that it makes."""

    run: Callable[[Build], None]


STAGES: Sequence[Stage] = (
    Stage("validate", "checking the document", (), ("spec.json",), validate),
    Stage("resolve", "resolving packages", ("spec.json",), ("lock.json",), lock_packages),
    Stage("fetch", "fetching packages", ("lock.json",), ("packages", "fetch.json"), fetch_packages),
    Stage(
        "assemble",
        "assembling the root",
        ("spec.json", "lock.json", "packages", "fetch.json"),
        ("root", "boot", "exchange", "assemble.json"),
        assemble_root,
    ),
    Stage(
        "image",
        "making images",
        ("spec.json", "lock.json", "root", "boot", "exchange", "assemble.json"),
        ("parts", "images", "images.json"),
        make_images,
    ),
    Stage(
        "attest",
        "attesting",
        ("spec.json", "lock.json", "root", "assemble.json", "images", "images.json"),
        ("evidence",),
        attest,
    ),
    Stage(
        "publish",
        "publishing",
        ("spec.json", "lock.json", "assemble.json", "images", "images.json", "evidence"),
        ("result.json",),
        publish_results,
    ),
)


def run_stage(build: Build, stage: Stage) -> None:
    """Run one stage, reported.

    Raises:
        ComposerError: the stage failed.
    """
    with build.reporter.stage(stage.name, stage.summary):
        stage.run(build)


def run_stages(build: Build, *, first: str = STAGES[0].name, last: str = STAGES[-1].name) -> None:
    """Run the stages in order, from the first to the last one asked for.

    Raises:
        ComposerError: a stage failed.
    """
    names = [stage.name for stage in STAGES]
    for stage in STAGES[names.index(first) : names.index(last) + 1]:
        run_stage(build, stage)
