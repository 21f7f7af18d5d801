"""What the disk code asks of whoever runs its programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from image_composer.run import Completed


class ToolRunner(Protocol):
    """Runs programs: `image_composer.run.Runner`, or something that does so inside a sandbox.

    Paths must mean the same inside and outside.
    """

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        shown_as: str | None = None,
    ) -> Completed:
        """Run one program to its end.

        Args:
            argv: program and arguments.
            stdin: bytes for its standard input.
            env: added to the clean environment that every program gets.
            shown_as: the command line to show in logs and errors.

        Raises:
            ToolError: it is missing or failed; the message holds what it said.
        """
