"""Whether the partition table of a disk is in order."""

from __future__ import annotations

from pathlib import Path

from image_composer.disk.tools import ToolRunner
from image_composer.errors import ToolError
from image_composer.verify.checks import Check, Outcome

NAME = "partition-table"


def check_table(disk: Path, *, tools: ToolRunner) -> Check:
    """Let sfdisk look at both copies of the table.

    Raises:
        ToolError: sfdisk is missing.
    """
    try:
        tools.run(["sfdisk", "--verify", "--quiet", disk])
    except ToolError as error:
        if error.code != "TOOL_FAILED":
            raise
        return Check(name=NAME, outcome=Outcome.FAILED, message=error.message)
    return Check(name=NAME, outcome=Outcome.PASSED, message="both copies of the table are in order")
