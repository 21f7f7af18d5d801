"""Starts an image on a virtual machine and follows its serial console.

QEMU never outlives us: it is ended when the caller leaves, whatever the reason, and the kernel kills it (`setpriv
--pdeathsig`) when we are killed ourselves. The latter is bound to the thread that started it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from image_composer.errors import VerifyError
from image_composer.run import Completed, Runner, failure, find_tool
from image_composer.verify.console import ConsoleText
from image_composer.verify.qemu import Console, Hardware, machine_command

Verdict = TypeVar("Verdict")

SHOWN_LINES = 20
"""Lines of the console that an error shows: a kernel panic with its call trace fits in."""

READ_SIZE = 64 * 1024
"""Bytes; what a pipe holds."""

LOOK_SECONDS = 0.5
"""Between looks at what a machine writes elsewhere than to its console."""

END_SECONDS = 5.0
"""What QEMU gets to write back what it holds before it is killed; it needs well below one."""


class Machine:
    """A running machine with its console captured, for use in a `with` statement.

    Args:
        runner: starts QEMU.
        image: the disk.
        hardware: the machine.
        log: file that gets the console's bytes as they come.
        image_format: QEMU's name of the image's format.
    """

    def __init__(
        self,
        runner: Runner,
        image: Path,
        hardware: Hardware,
        *,
        log: Path | None = None,
        image_format: str = "raw",
    ) -> None:
        self._runner = runner
        self._image = image
        self._hardware = hardware
        self._log = log
        self._format = image_format
        self._changed = threading.Condition()
        self._text = ""
        self._matched = 0
        self._silent = False

    def __enter__(self) -> Self:
        self._scratch = tempfile.TemporaryDirectory(prefix="machine-", ignore_cleanup_errors=True)
        try:
            hardware = own_variables(self._hardware, Path(self._scratch.name))
            command = machine_command(self._image, hardware, Console.CAPTURED, image_format=self._format)
            self._process = self._runner.start(bound(command), stdin=subprocess.PIPE)
        except BaseException:
            self._scratch.cleanup()
            raise
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def console(self) -> str:
        """All that the console said so far, without terminal escapes."""
        with self._changed:
            return self._text

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    def wait_for(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until the console says something; each call goes on where the former found its match.

        Args:
            pattern: regular expression, searched in the text without terminal escapes.
            timeout: seconds to wait.

        Raises:
            VerifyError: VERIFY_TIMEOUT, or VERIFY_ENDED when QEMU ended first; with the console's last lines.
        """
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = expression.search(self._text, self._matched)
                if match is not None:
                    self._matched = match.end()
                    return match
                if self._silent:
                    raise self._error("VERIFY_ENDED", f"the machine ended before it said {pattern!r}")
                if not self._changed.wait(deadline - time.monotonic()):
                    raise self._error("VERIFY_TIMEOUT", f"the machine did not say {pattern!r} within {timeout:g} s")

    def watch(self, look: Callable[[str], Verdict | None], timeout: float) -> Verdict | None:
        """Look at the console whenever it says something, and twice a second, until there is something to say of it.

        Args:
            look: gets all that the console said; gives None while there is nothing to say.
            timeout: seconds to wait.

        Returns:
            What `look` gave; None when the machine ended, or the time was over, before it gave anything.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                ended = self._silent
                verdict = look(self._text)
                left = deadline - time.monotonic()
                if verdict is not None or ended or left <= 0:
                    return verdict
                self._changed.wait(min(LOOK_SECONDS, left))

    @property
    def ended(self) -> bool:
        """Whether the machine has ended by itself."""
        with self._changed:
            return self._silent

    def wait_ended(self, timeout: float) -> int:
        """Wait until the machine switches itself off; give QEMU's exit status.

        Raises:
            VerifyError: VERIFY_TIMEOUT.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            with self._changed:
                raise self._error("VERIFY_TIMEOUT", f"the machine did not end within {timeout:g} s") from error

    def send(self, text: str) -> None:
        """Type something at the console.

        Raises:
            VerifyError: VERIFY_ENDED.
        """
        try:
            self._stream(self._process.stdin).write(text.encode())
            self._stream(self._process.stdin).flush()
        except BrokenPipeError as error:
            with self._changed:
                raise self._error("VERIFY_ENDED", "the machine ended before it could be typed at") from error

    def stop(self) -> None:
        """End the machine; does nothing when it has ended."""
        end(self._process)
        self._reader.join()
        with suppress(BrokenPipeError):
            self._stream(self._process.stdin).close()
        self._stream(self._process.stdout).close()
        self._scratch.cleanup()

    def _read(self) -> None:
        """Take what the console says until QEMU ends; runs in a thread of its own."""
        output = self._stream(self._process.stdout).fileno()
        text = ConsoleText()
        try:
            with _sink(self._log) as log:
                while chunk := os.read(output, READ_SIZE):
                    log(chunk)
                    self._say(text.feed(chunk))
        finally:
            self._say(text.feed(b"", final=True), silent=True)

    def _say(self, text: str, *, silent: bool = False) -> None:
        with self._changed:
            self._text += text
            self._silent = silent
            self._changed.notify_all()

    def _error(self, code: str, message: str) -> VerifyError:
        lines = self._text.strip().splitlines()[-SHOWN_LINES:]
        said = "\n".join(lines) or "(nothing)"
        return VerifyError(code, f"{message}; the console's last lines:\n{said}")

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None, "the machine was started with pipes"
        return stream


def interactive(runner: Runner, image: Path, hardware: Hardware, *, image_format: str = "raw") -> None:
    """Start a machine with its console on the user's terminal; come back when it ends.

    Ctrl-C ends it and is raised on as KeyboardInterrupt; the terminal is left as it was found.

    Raises:
        ToolError: TOOL_FAILED, QEMU did not start or did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="machine-") as scratch, _terminal_kept():
        private = own_variables(hardware, Path(scratch))
        command = machine_command(image, private, Console.TERMINAL, image_format=image_format)
        # In our process group: QEMU must be in the terminal's foreground to read from it.
        process = runner.start(bound(command), stdin=None, stdout=None, stderr=subprocess.PIPE, own_group=False)
        try:
            _, said = process.communicate()
        except BaseException:
            end(process)
            raise
        if process.returncode != 0:
            raise failure(shlex.join(command), Completed(process.returncode, b"", said))


def bound(command: Sequence[str]) -> list[str]:
    """Give a command whose program the kernel kills when the thread that starts it ends.

    Raises:
        ToolError: TOOL_MISSING.
    """
    return ["setpriv", "--pdeathsig", "KILL", "--", find_tool(command[0]), *command[1:]]


def own_variables(hardware: Hardware, folder: Path) -> Hardware:
    """Give the same hardware with a variable store of its own in a folder."""
    if hardware.firmware is None or hardware.firmware.kept:
        return hardware
    copy = folder / "variables.fd"
    shutil.copyfile(hardware.firmware.variables, copy)
    return replace(hardware, firmware=replace(hardware.firmware, variables=copy))


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask QEMU to end, and kill it when it doesn't."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _sink(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Give what takes the console's bytes: the log, unbuffered, so that it can be followed."""
    if path is None:
        yield bytes
        return
    with path.open("wb", buffering=0) as stream:
        yield stream.write


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Put the terminal back as it was: a QEMU that is killed leaves it without echo."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
