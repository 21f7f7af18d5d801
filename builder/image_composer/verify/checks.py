"""What is checked of a finished image before it is published, and how that is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Literal

from image_composer.errors import VerifyError
from image_composer.spec.base import SpecModel

SHOWN_FAILURES = 8
"""Failures that an error names; verify.json has them all."""


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """There is nothing in the image that it could look at."""


class Check(SpecModel):
    """One check of an image."""

    name: str
    """Stable, for machines: `partition-table`."""

    outcome: Outcome
    message: str
    """For people: what was found."""


class Verification(SpecModel):
    """verify.json: all that was checked."""

    verify_version: Literal[1] = 1
    checks: list[Check]

    @property
    def failures(self) -> list[Check]:
        """Give what is wrong."""
        return [check for check in self.checks if check.outcome is Outcome.FAILED]


def run_checks(checks: Sequence[Callable[[], Check]]) -> Verification:
    """Run checks one after another, all of them, whatever the first ones find."""
    return Verification(checks=[check() for check in checks])


def refuse_failures(verification: Verification) -> None:
    """Refuse an image that is not what it should be.

    Raises:
        VerifyError: VERIFY_FAILED, with what was found.
    """
    failures = verification.failures
    if not failures:
        return
    found = "; ".join(f"{check.name}: {check.message}" for check in failures[:SHOWN_FAILURES])
    raise VerifyError("VERIFY_FAILED", f"the finished image is not as it should be: {found}")
