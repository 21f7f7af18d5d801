"""What is checked of a finished image before it is published, and how that is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Literal

from pydantic import Field

from image_composer.errors import InspectError, VerifyError
from image_composer.spec.base import SpecModel
from image_composer.verify.verdict import BootReport

SHOWN_PROBLEMS = 5
"""Problems that the message of one check names; one is enough to look for the reason."""


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

    problems: list[str] = Field(default_factory=list)
    """All that is wrong, one sentence each."""


class Verification(SpecModel):
    """verify.json: all that was checked."""

    verify_version: Literal[1] = 1
    checks: list[Check]
    boot: BootReport | None = None
    """How it started, when that was asked for."""

    @property
    def failures(self) -> list[Check]:
        """Give what is wrong."""
        return [check for check in self.checks if check.outcome is Outcome.FAILED]


def judged(name: str, problems: Iterable[str], praise: str) -> Check:
    """Give the outcome of a check.

    Args:
        name: of the check.
        problems: what is wrong.
        praise: what to say when nothing is.
    """
    listed = list(problems)
    if not listed:
        return Check(name=name, outcome=Outcome.PASSED, message=praise)
    more = len(listed) - SHOWN_PROBLEMS
    message = "; ".join(listed[:SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    return Check(name=name, outcome=Outcome.FAILED, message=message, problems=listed)


def skipped(name: str, reason: str) -> Check:
    """Say that there is nothing for a check to look at."""
    return Check(name=name, outcome=Outcome.SKIPPED, message=reason)


def run_checks(checks: Mapping[str, Callable[[], Check]], *, jobs: int = 1) -> Verification:
    """Run all checks by their names, whatever the first ones find; an image that one can't read fails that one."""

    def run(name: str) -> Check:
        try:
            return checks[name]()
        except InspectError as error:
            return judged(name, [error.message], "")

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return Verification(checks=list(pool.map(run, checks)))


def refuse_failures(verification: Verification) -> None:
    """Refuse an image that is not what it should be.

    Raises:
        VerifyError: VERIFY_FAILED, with all that was found.
    """
    failures = verification.failures
    if failures:
        found = "".join(f"\n  {check.name}: {check.message}" for check in failures)
        hint = "nothing was published; 'image-composer stage verify' checks a kept workspace again"
        raise VerifyError("VERIFY_FAILED", f"the finished image is not as it should be:{found}", hint=hint)
