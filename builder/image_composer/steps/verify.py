"""verify: whether the finished image is what it should be, before anybody gets it."""

from __future__ import annotations

from functools import partial

from image_composer.steps.build import Build
from image_composer.verify.checks import refuse_failures, run_checks
from image_composer.verify.table import check_table
from image_composer.workspace import FinishedImages

VERIFY_SUFFIX = ".verify.json"


def verify(build: Build) -> None:
    """Check the disk, and write down what was found.

    Raises:
        VerifyError: VERIFY_FAILED.
        ComposerError: WORKSPACE_INCOMPLETE.
        ToolError: a program is missing.
    """
    workspace = build.workspace
    workspace.read(workspace.finished, FinishedImages)
    verification = run_checks([partial(check_table, workspace.disk, tools=build.runner)])
    workspace.write(workspace.verdict, verification)
    refuse_failures(verification)
    build.reporter.conclude(f"{len(verification.checks)} checks")
