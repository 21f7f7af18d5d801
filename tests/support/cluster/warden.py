"""Ends a cluster whose owner is gone, be it by SIGKILL: the kernel closes the owner's end of a pipe in any case."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from image_composer.run import BASE_ENVIRONMENT

DISMISSED = b"."
TESTS = Path(__file__).parents[2]


@dataclass
class Warden:
    """The process that watches over a cluster, as its owner sees it."""

    process: subprocess.Popen[bytes]

    @classmethod
    def over(cls, folder: Path) -> Warden:
        """Let a process end the cluster of a folder when this process ends."""
        with (folder / "log/warden.log").open("ab") as log:
            return cls(
                subprocess.Popen(
                    [sys.executable, "-m", "support.cluster", "watch", "--folder", folder],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**BASE_ENVIRONMENT, "PYTHONPATH": str(TESTS)},
                    start_new_session=True,  # what ends the owner's group, Ctrl-C for one, must not end it
                )
            )

    def dismiss(self) -> None:
        """The cluster was ended in order."""
        self.process.communicate(DISMISSED)


def owner_is_gone() -> bool:
    """Wait, as the warden, until the owner dismisses it or is gone; say which."""
    return sys.stdin.buffer.read(1) != DISMISSED
