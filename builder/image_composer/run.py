"""The one place that runs external programs: logs them, explains their failures, ends them with us.

A child gets a clean environment, its own process group and no standard input; it is killed when the composer stops
waiting for it, whatever the reason.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from image_composer.errors import ToolError
from image_composer.report import Reporter

BASE_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "HOME": "/dev/null",  # no program can make anything there, root's neither
}
"""All that a program sees of our environment: nothing of the caller's, so no credential and no locale leaks in."""

SHOWN_LINES = 25
"""Lines of a failed program's output that an error shows: what fits one screen with the explanation."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished program left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs programs found on the host's standard path."""

    reporter: Reporter = field(default_factory=Reporter)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        shown_as: str | None = None,
        stdout: IO[bytes] | int = subprocess.PIPE,
        hand_over: Sequence[int] = (),
        timeout: float | None = None,
    ) -> Completed:
        """Run one program to its end.

        Args:
            argv: program and arguments; never goes through a shell.
            stdin: bytes for its standard input; empty when absent.
            cwd: folder to run in.
            env: added to `BASE_ENVIRONMENT`.
            check: raise when it exits with anything but 0.
            shown_as: the command line to show in logs and errors when argv is long or internal.
            stdout: where its output goes; kept in the result by default.
            hand_over: descriptors that it gets under the same numbers, and that are closed here.
            timeout: seconds after which it is killed; for programs that can hang, which most can't.

        Raises:
            ToolError: TOOL_MISSING, TOOL_FAILED, TOOL_KILLED or TOOL_TIMEOUT.
        """
        words = [str(word) for word in argv]
        shown = shown_as or shlex.join(words)
        started = time.monotonic()
        process = self._popen(
            words,
            shown,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            hand_over=hand_over,
        )
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as error:
            kill_group(process)
            raise ToolError("TOOL_TIMEOUT", f"{shown} did not end within {timeout:g} s", retryable=True) from error
        except BaseException:
            kill_group(process)
            raise
        self.reporter.command(shown, time.monotonic() - started)
        done = Completed(process.returncode, out or b"", err or b"")
        if check and done.returncode != 0:
            raise failure(shown, done)
        return done

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: IO[bytes] | int | None = subprocess.DEVNULL,
        stdout: IO[bytes] | int | None = subprocess.PIPE,
        stderr: IO[bytes] | int | None = subprocess.STDOUT,
        own_group: bool = True,
    ) -> subprocess.Popen[bytes]:
        """Start a program that the caller talks to and ends itself.

        Args:
            argv: program and arguments; never goes through a shell.
            stdin: as for `subprocess.Popen`; None connects our own.
            stdout: as for `subprocess.Popen`; None connects our own.
            stderr: as for `subprocess.Popen`; None connects our own.
            own_group: whether it gets a process group of its own, to be ended with `kill_group`. A program that
                reads the terminal must stay in ours.

        Raises:
            ToolError: TOOL_MISSING or TOOL_FAILED.
        """
        words = [str(word) for word in argv]
        return self._popen(
            words,
            shlex.join(words),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            process_group=0 if own_group else None,
        )

    def _popen(
        self,
        words: list[str],
        shown: str,
        *,
        stdin: IO[bytes] | int | None,
        stdout: IO[bytes] | int | None,
        stderr: IO[bytes] | int | None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        hand_over: Sequence[int] = (),
        process_group: int | None = 0,
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                words,
                executable=find_tool(words[0]),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env={**BASE_ENVIRONMENT, **(env or {})},
                process_group=process_group,
                pass_fds=hand_over,
            )
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise ToolError("TOOL_MISSING", f"{words[0]} was not found", hint=MISSING_HINT) from error
            raise ToolError("TOOL_FAILED", f"{shown}: {error.strerror}") from error
        finally:
            for descriptor in hand_over:
                os.close(descriptor)


MISSING_HINT = "run 'image-composer doctor': it lists the programs needed and the packages that bring them"


def find_tool(name: str) -> str:
    """Give the full path of a program.

    Raises:
        ToolError: TOOL_MISSING.
    """
    found = name if "/" in name else shutil.which(name, path=BASE_ENVIRONMENT["PATH"])
    if found is None:
        raise ToolError("TOOL_MISSING", f"the program {name} was not found on this machine", hint=MISSING_HINT)
    return found


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def failure(shown: str, done: Completed) -> ToolError:
    """Explain a program's failure: what was run, how it ended, the last it said."""
    said = (done.stderr if done.stderr.strip() else done.stdout).decode("utf-8", "replace").strip()
    tail = "\n".join(said.splitlines()[-SHOWN_LINES:])
    detail = f"\n{tail}" if tail else ""
    if is_disk_full(said):
        return ToolError("TOOL_DISK_FULL", f"the disk is full: {shown}{detail}", hint=FULL_HINT)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        hint = "killed from outside, often for want of memory" if name == "SIGKILL" else None
        return ToolError("TOOL_KILLED", f"{shown} was ended by {name}{detail}", hint=hint, retryable=True)
    return ToolError("TOOL_FAILED", f"{shown} failed with status {done.returncode}{detail}")


def is_disk_full(said: str) -> bool:
    """Say whether a program's complaint is about a full disk."""
    return "No space left on device" in said or "Disk quota exceeded" in said


FULL_HINT = "free space where the workspace and the cache are, or move them: --workspace, IMAGE_COMPOSER_CACHE_DIR"
