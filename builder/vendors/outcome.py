"""What a release's repositories were found to be, and what that means for all: decisions and the table, no effects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from image_composer.errors import ComposerError
from image_composer.repository.lock import Lock

UNREACHABLE = ("REPO_UNREACHABLE", "REPO_OFFLINE", "REPO_FORBIDDEN", "REPO_REFUSED")
"""Nothing came from the vendor that says anything about it: no network, or something between that refuses."""

UNTRUSTED = re.compile(
    r"REPO_(SIGNATURE_INVALID|UNSIGNED|KEY_(EXPIRED|INVALID|REVOKED|UNKNOWN)|DIGEST_MISMATCH|SIZE_MISMATCH"
    r"|PACKAGE_MISMATCH|EXPIRED|FROM_FUTURE|SUITE_MISMATCH|CERTIFICATE_INVALID|REDIRECT_REFUSED)"
)
"""Something came that must not be used."""


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    UNREACHABLE = "can't be reached"
    KEYLESS = "no key"
    UNTRUSTED = "NOT TRUSTED"
    BROKEN = "BROKEN"


WRONG = (Verdict.UNTRUSTED, Verdict.BROKEN)
NOT_CHECKED = (Verdict.UNREACHABLE, Verdict.KEYLESS)

EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the check of one release ended."""

    distribution: str
    release: str
    verdict: Verdict
    said: str
    """For people: how many packages and from where, or why not."""

    seconds: float


def succeeded(distribution: str, release: str, lock: Lock, seconds: float) -> Outcome:
    """Give the outcome of a release that could be resolved."""
    hosts = sorted({urlsplit(repository.url).hostname or "a folder" for repository in lock.repositories})
    said = f"{len(lock.packages)} packages from {', '.join(hosts)}"
    return Outcome(distribution, release, Verdict.OK, said, seconds)


def failed(distribution: str, release: str, error: ComposerError, seconds: float) -> Outcome:
    """Give the outcome of a release that could not be resolved."""
    said = f"{error.message.splitlines()[0]} [{error.code}]"
    return Outcome(distribution, release, judged(error.code), said, seconds)


def judged(code: str) -> Verdict:
    """Say what an error means: whoever can't be reached, or whose key nobody gave us, has not failed."""
    if code in UNREACHABLE:
        return Verdict.UNREACHABLE
    if code == "REPO_KEY_NEEDED":
        return Verdict.KEYLESS
    return Verdict.UNTRUSTED if UNTRUSTED.fullmatch(code) else Verdict.BROKEN


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """Give the status to end with: what is wrong fails, what could not be looked at doesn't."""
    return EXIT_FAILED if any(outcome.verdict in WRONG for outcome in outcomes) else 0


def table(outcomes: Sequence[Outcome]) -> str:
    """Give the outcomes for people."""
    rows = [("DISTRIBUTION", "RELEASE", "RESULT", "SECONDS", "WHAT WAS SAID")]
    rows += [
        (
            outcome.distribution,
            outcome.release,
            str(outcome.verdict),
            f"{outcome.seconds:.1f}",
            outcome.said,
        )
        for outcome in outcomes
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, summary(outcomes)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Say in one sentence what was learned, so that nobody takes silence for success."""
    kinds = {"ok": (Verdict.OK,), "not checked": NOT_CHECKED, "wrong": WRONG}
    counts = {kind: sum(outcome.verdict in verdicts for outcome in outcomes) for kind, verdicts in kinds.items()}
    told = [f"{count} {kind}" for kind, count in counts.items() if count]
    return f"{len(outcomes)} releases: {', '.join(told) or 'none'}"


def document(distribution: str, release: str) -> bytes:
    """Give the smallest document of a release: its default profile for x86_64."""
    target = {"distribution": distribution, "release": release, "architecture": "x86_64"}
    return json.dumps({"name": "vendor-check", "version": "1", "target": target}).encode()
