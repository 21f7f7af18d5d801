"""A raw image that is being read: opened once, and shown to programs as our descriptor.

So every program reads the same file whatever its name is; a question mark or `@@` in a name would be syntax to
debugfs and mtools.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from image_composer.errors import InspectError
from image_composer.run import Completed, Runner


@dataclass(frozen=True, slots=True)
class RawImage:
    """The bytes of a disk."""

    path: Path
    descriptor: int
    size: int
    runner: Runner

    @property
    def name(self) -> str:
        """The image's name for programs that `run` runs."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def read(self, offset: int, size: int) -> bytes:
        """Read bytes; fewer at the image's end.

        Raises:
            InspectError: INSPECT_UNREADABLE.
        """
        try:
            return os.pread(self.descriptor, size, offset)
        except OSError as error:
            raise unreadable(self.path, error) from error

    def run(
        self, argv: Sequence[str], *, stdin: bytes | None = None, stdout: IO[bytes] | int = subprocess.PIPE
    ) -> Completed:
        """Run a program that reads the image; how it ends is the caller's to judge.

        Raises:
            ToolError: TOOL_MISSING.
        """
        shown = shlex.join(argument.replace(self.name, str(self.path)) for argument in argv)
        return self.runner.run(argv, stdin=stdin, check=False, shown_as=shown, stdout=stdout)


@contextmanager
def open_raw(path: Path, runner: Runner) -> Iterator[RawImage]:
    """Open an image for reading.

    Raises:
        InspectError: INSPECT_UNREADABLE, or INSPECT_NOT_AN_IMAGE for what is no file or device.
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise not_an_image(path, "it is neither a file nor a disk")
        yield RawImage(path, descriptor, os.lseek(descriptor, 0, os.SEEK_END), runner)
    finally:
        os.close(descriptor)


def unreadable(path: Path, error: OSError) -> InspectError:
    """Say that the operating system doesn't let the image be read."""
    return InspectError("INSPECT_UNREADABLE", f"{path} can't be read: {error.strerror}")


def not_an_image(path: Path, reason: str) -> InspectError:
    """Say that a file is no raw disk image."""
    return InspectError(
        "INSPECT_NOT_AN_IMAGE",
        f"{path} is not a disk image that can be read: {reason}",
        hint="give a raw, qcow2, VHD, VHDX or VMDK disk, or an installer ISO, as 'image-composer build' makes them",
    )


def corrupted(path: Path, reason: str) -> InspectError:
    """Say that an image is one, but broken."""
    return InspectError(
        "INSPECT_CORRUPTED", f"{path} is damaged: {reason}", hint="compare it with its SHA256SUMS and fetch it again"
    )


def unsupported(path: Path, what: str) -> InspectError:
    """Say that an image holds what images of ours never have."""
    return InspectError(
        "INSPECT_UNSUPPORTED",
        f"{path} can't be looked into: {what} is not known here",
        hint="only what 'image-composer build' itself makes is known",
    )
