"""Programs that run beside the tests: each with a log, ended with whoever started it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from image_composer.run import Runner, kill_group

Seen = TypeVar("Seen")

SHOWN_LINES = 20
"""Lines of a log that a failure shows."""

TERM_SECONDS = 10
"""How long a program may take to end when asked, before it is killed."""


class ClusterError(Exception):
    """A part of the test cluster doesn't do what it should; says which, and the end of its log."""


@dataclass
class Daemon:
    """A program that runs until it is stopped. Its output is in `log`."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, argv: Sequence[str | Path], log: Path, *, bound: bool = False) -> Daemon:
        """Start a program.

        Args:
            name: what failures call it.
            argv: program and arguments.
            log: where its output is added to.
            bound: whether the kernel kills it when the thread that called this ends, be it by SIGKILL. Reaches the
                program itself only, not what that starts.
        """
        words = ["setpriv", "--pdeathsig", "KILL", *argv] if bound else list(argv)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return cls(name, log, Runner().start(words, stdout=output))

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def check(self) -> None:
        """Fail if it has ended."""
        if not self.running:
            raise ClusterError(f"{self.name} ended with status {self.process.returncode}\n{log_end(self.log)}")

    def stop(self) -> None:
        """End it: politely first."""
        if self.running:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(TERM_SECONDS)
        kill_group(self.process)


def log_end(log: Path) -> str:
    """Give the last lines of a log, with its place."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"the end of {log}:", *(f"  {line[:400]}" for line in lines[-SHOWN_LINES:])])


def eventually(
    look: Callable[[], Seen | None], what: str, *, seconds: float, every: float = 0.1, logs: Sequence[Path] = ()
) -> Seen:
    """Look again and again until there is something to see (neither None nor False), and give it.

    Args:
        look: called again and again; its exceptions end the waiting.
        what: what is waited for, for the failure.
        seconds: how long to wait.
        every: seconds between two looks.
        logs: where the reason stands when it does not come true.

    Raises:
        ClusterError: it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen is not None and seen is not False:
            return seen
        if time.monotonic() > deadline:
            raise ClusterError("\n".join([f"not within {seconds:g} s: {what}", *map(log_end, logs)]))
        time.sleep(every)


def free_port(address: str = "127.0.0.1") -> int:
    """Give a TCP port that nobody listens on at an address of this machine."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def listens(address: str, port: int) -> bool:
    """Say whether a server takes connections."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False
