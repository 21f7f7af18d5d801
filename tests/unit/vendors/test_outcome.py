"""What the answers of vendors' repositories mean: only what is wrong fails, and silence is never called success."""

from __future__ import annotations

import pytest

from image_composer.errors import RepositoryError, SolverError
from image_composer.provider import load_providers
from image_composer.repository.lock import Lock, LockedRepository
from image_composer.spec.document import read_document
from image_composer.spec.image import Target
from vendors.outcome import Outcome, Verdict, document, exit_status, failed, judged, succeeded, table


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("REPO_UNREACHABLE", Verdict.UNREACHABLE),
        ("REPO_OFFLINE", Verdict.UNREACHABLE),
        ("REPO_FORBIDDEN", Verdict.UNREACHABLE),
        ("REPO_KEY_NEEDED", Verdict.KEYLESS),
        ("REPO_SIGNATURE_INVALID", Verdict.UNTRUSTED),
        ("REPO_UNSIGNED", Verdict.UNTRUSTED),
        ("REPO_KEY_UNKNOWN", Verdict.UNTRUSTED),
        ("REPO_KEY_EXPIRED", Verdict.UNTRUSTED),
        ("REPO_KEY_REVOKED", Verdict.UNTRUSTED),
        ("REPO_DIGEST_MISMATCH", Verdict.UNTRUSTED),
        ("REPO_CERTIFICATE_INVALID", Verdict.UNTRUSTED),
        ("REPO_EXPIRED", Verdict.UNTRUSTED),
        ("REPO_NOT_FOUND", Verdict.BROKEN),
        ("REPO_COMPONENT_UNKNOWN", Verdict.BROKEN),
        ("REPO_MALFORMED", Verdict.BROKEN),
        ("SOLVE_UNKNOWN_PACKAGE", Verdict.BROKEN),
        ("SOLVE_UNSATISFIABLE", Verdict.BROKEN),
        ("STORE_DISK_FULL", Verdict.BROKEN),
        ("INTERNAL", Verdict.BROKEN),
    ],
)
def test_an_error_means_one_thing(code: str, verdict: Verdict) -> None:
    assert judged(code) is verdict


def outcome(verdict: Verdict) -> Outcome:
    return Outcome("mylinux", "1", verdict, "as it is", 1.0)


@pytest.mark.parametrize(
    ("verdicts", "status", "said"),
    [
        ([], 0, "0 releases: none"),
        ([Verdict.OK], 0, "1 releases: 1 ok"),
        ([Verdict.UNREACHABLE, Verdict.KEYLESS], 0, "2 releases: 2 not checked"),
        ([Verdict.OK, Verdict.UNREACHABLE], 0, "2 releases: 1 ok, 1 not checked"),
        ([Verdict.OK, Verdict.UNTRUSTED], 1, "2 releases: 1 ok, 1 wrong"),
        ([Verdict.BROKEN, Verdict.UNREACHABLE, Verdict.OK], 1, "3 releases: 1 ok, 1 not checked, 1 wrong"),
    ],
)
def test_only_what_is_wrong_fails_and_what_was_not_checked_is_told(
    verdicts: list[Verdict], status: int, said: str
) -> None:
    outcomes = [outcome(verdict) for verdict in verdicts]
    assert exit_status(outcomes) == status
    assert table(outcomes).splitlines()[-1] == said


def test_the_table_has_a_line_for_each_release() -> None:
    lock = Lock(
        target=Target(distribution="debian", release="12"),
        request_digest="0" * 64,
        repositories=[
            LockedRepository(
                id="debian-12",
                url="https://mirror.example/debian",
                suite="bookworm",
                components=["main"],
                release_digest="0" * 64,
                release_time=1,
                signed_by=[],
            )
        ],
        packages=[],
    )
    outcomes = [
        succeeded("debian", "12", lock, 1.04),
        failed("elxr", "12", RepositoryError("REPO_KEY_UNKNOWN", "elxr-12: signed by a stranger\nmore"), 0.5),
        failed("mylinux", "1", SolverError("SOLVE_UNKNOWN_PACKAGE", "kernel: no such package"), 12),
    ]
    assert table(outcomes).splitlines() == [
        "DISTRIBUTION  RELEASE  RESULT       SECONDS  WHAT WAS SAID",
        "debian        12       ok           1.0      0 packages from mirror.example",
        "elxr          12       NOT TRUSTED  0.5      elxr-12: signed by a stranger [REPO_KEY_UNKNOWN]",
        "mylinux       1        BROKEN       12.0     kernel: no such package [SOLVE_UNKNOWN_PACKAGE]",
        "3 releases: 1 ok, 2 wrong",
    ]


@pytest.mark.parametrize(
    ("distribution", "release"),
    [(name, release) for name, provider in load_providers().items() for release in provider.releases()],
)
def test_the_document_is_right_for_every_release(distribution: str, release: str) -> None:
    target = read_document(document(distribution, release), "check.json").spec.target
    assert (target.distribution, target.release) == (distribution, release)
