"""The pipeline, as data: the stages in order, what each reads and what it writes.

All run in one process on a laptop, and each in a container of its own in a pod; both call `run_stage`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from image_composer.steps.build import Build


def step(name: str) -> Callable[[Build], None]:
    """Give the function of a step, which is loaded when it is called: no stage pays for what another one needs.

    Args:
        name: module below `steps` and function, for example `resolve:lock_packages`.
    """
    module, function = name.split(":")

    def run(build: Build) -> None:
        getattr(import_module(f"image_composer.steps.{module}"), function)(build)

    return run


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
    Stage(
        "validate",
        "checking the document",
        (),
        ("spec.json", "destination.json", "input-server.json"),
        step("validate:validate"),
    ),
    Stage("resolve", "resolving packages", ("spec.json",), ("lock.json",), step("resolve:lock_packages")),
    Stage(
        "fetch",
        "fetching packages",
        ("spec.json", "lock.json", "input-server.json"),  # and signed-inputs.json, which it takes away
        ("packages", "inputs", "fetch.json"),
        step("fetch:fetch_packages"),
    ),
    Stage(
        "assemble",
        "assembling the root",
        ("spec.json", "lock.json", "packages", "inputs", "fetch.json"),
        ("root", "boot", "exchange", "assemble.json"),
        step("assemble:assemble_root"),
    ),
    Stage(
        "image",
        "making the disk",
        ("spec.json", "lock.json", "root", "boot", "exchange", "assemble.json"),
        ("parts", "disk.raw", "disk.json"),
        step("image:make_disk"),
    ),
    Stage(
        "attest",
        "writing images and what attests them",
        ("spec.json", "lock.json", "root", "boot", "parts", "assemble.json", "disk.raw", "disk.json"),
        ("signed", "images", "images.json", "evidence"),
        step("attest:attest"),
    ),
    Stage(
        "verify",
        "verifying",
        ("spec.json", "lock.json", "disk.raw", "images", "images.json", "evidence"),
        ("verify.json",),
        step("verify:verify"),
    ),
    Stage(
        "publish",
        "publishing",
        (
            *("spec.json", "destination.json", "lock.json", "assemble.json", "disk.json"),
            *("images", "images.json", "evidence", "verify.json"),
        ),
        ("result.json", "published.json"),
        step("publish:publish_results"),
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
