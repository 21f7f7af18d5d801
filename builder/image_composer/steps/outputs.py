"""The files that the disk is delivered as. Made by `attest`, since signatures come onto the disk there."""

from __future__ import annotations

from image_composer.formats.base import Stamp
from image_composer.formats.naming import output_name
from image_composer.formats.outputs import Wanted, Workshop, write_outputs
from image_composer.steps.build import Build
from image_composer.workspace import AssembledRoot, FinishedImages


def deliver(build: Build, assembled: AssembledRoot) -> list[str]:
    """Make all outputs; give their files' names, in the order of the spec.

    Raises:
        DiskError, ToolError: one can't be made.
    """
    workspace = build.workspace
    workspace.images.mkdir(exist_ok=True)
    names = {output_name(build.spec.image, output): output for output in build.spec.image.outputs}
    build.reporter.info(f"writing {', '.join(names)}")
    scratch = workspace.images.with_name("outputs")
    workshop = Workshop(Stamp(build.identity, assembled.epoch), build.runner, scratch, build.settings.jobs)
    write_outputs(workspace.disk, [Wanted(output, workspace.images / name) for name, output in names.items()], workshop)
    workspace.write(workspace.finished, FinishedImages(files=list(names)))
    return list(names)
