"""The one tree of errors.

Every failure that a user can meet is a `ComposerError`: a stable code for machines, a sentence for people, a hint
about what to do, and whether trying again can help. Anything else that escapes is a defect of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

EXIT_OURS = 1
"""Exit status when the machine, the network or the composer is at fault."""

EXIT_USER = 2
"""Exit status when the user's document or arguments are at fault; a Job never retries it."""

EXIT_INTERRUPTED = 130
"""Exit status after Ctrl-C or SIGTERM, as shells report it (128 + SIGINT)."""


class ComposerError(Exception):
    """A failure with a code, a sentence and a hint.

    Args:
        code: stable, upper case, prefixed by the subject, for example `REPO_SIGNATURE_INVALID`.
        message: one sentence that names what failed; may have further lines of detail.
        hint: what the reader can do about it.
        retryable: whether the same call can succeed later without anyone changing anything.
    """

    exit_status: ClassVar[int] = EXIT_OURS

    def __init__(self, code: str, message: str, *, hint: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document, with the path of the field it is about."""

    path: str
    message: str
    code: str = "SPEC_INVALID"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SpecError(ComposerError):
    """The user's document is wrong. Carries every problem found, each with its path."""

    exit_status = EXIT_USER

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems[0].code, "\n".join(map(str, self.problems)), hint=hint)


class SolverError(ComposerError):
    """The packages asked for can't be had together; the message is the chain that leads there."""

    exit_status = EXIT_USER


class LockError(ComposerError):
    """The lock file given does not fit the document, or can't be read."""

    exit_status = EXIT_USER


class RepositoryError(ComposerError):
    """A package repository can't be reached or can't be trusted; names repository and file."""


class InputError(ComposerError):
    """What a document takes from elsewhere can't be asked for: credentials or the server's address are wrong."""

    exit_status = EXIT_USER


class StoreError(ComposerError):
    """The content-addressed cache can't be read or written."""


class ToolError(ComposerError):
    """A program that the composer runs is missing or failed."""


class SandboxError(ComposerError):
    """The kernel or the container runtime doesn't allow the isolation that assembling needs."""


class AssemblyError(ComposerError):
    """Installing or configuring the root failed."""


class DiskError(ComposerError):
    """The disk image can't be made."""


class DiskTooSmallError(DiskError):
    """The content does not fit the disk that was asked for: the user's numbers are wrong."""

    exit_status = EXIT_USER


class InspectError(ComposerError):
    """A file given for inspection is not an image that can be read."""

    exit_status = EXIT_USER


class SigningError(ComposerError):
    """What starts the machine can't be signed: the key is missing, or not the one that belongs to the certificate."""

    exit_status = EXIT_USER


class PublishError(ComposerError):
    """Results could not be published; says what is stored already."""


class DestinationError(PublishError):
    """The destination given is not one to publish to: the user's arguments are wrong."""

    exit_status = EXIT_USER


class VerifyError(ComposerError):
    """A finished image fails a check."""
