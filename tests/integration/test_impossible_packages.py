"""Packages that can't be had, or not together: the user reads which, why, and what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.composer import SCREEN, Composer, nothing_left, write_document
from support.distribution import document

CASES = {
    "misspelt": (
        document(packages=["opennssh-server"]),
        "SOLVE_UNKNOWN_PACKAGE",
        ["opennssh-server: did you mean openssh-server"],
    ),
    "several unknown": (
        document(packages=["chronny", "openssh-server", "nothing-like-it"]),
        "SOLVE_UNKNOWN_PACKAGE",
        ["2 packages", "chronny: did you mean chrony?", "nothing-like-it: nothing has a similar name"],
    ),
    "in conflict": (
        document(packages=["exim", "postfix"]),
        "SOLVE_CONFLICT",
        ["exim 1.0 (requested) conflicts with postfix 1.0 (requested)"],
    ),
    "needing what is in conflict": (
        document(packages=["web-shop", "mailing-lists"]),
        "SOLVE_CONFLICT",
        [
            "web-shop 1.0 (requested) needs mail-relay, which needs exim",
            "mailing-lists 1.0 (requested) needs postfix",
            "exim 1.0 conflicts with postfix 1.0",
        ],
    ),
    "excluded but needed": (
        document(packages=["web-shop"], excludePackages=["exim"]),
        "SOLVE_EXCLUDED",
        ["web-shop 1.0 (requested) needs mail-relay, which needs exim, but exim is excluded"],
    ),
    "essential but excluded": (
        document(excludePackages=["base-files"]),
        "SOLVE_EXCLUDED",
        ["no installation can do without: base-files"],
    ),
    "needs what nobody has": (
        document(packages=["half-baked"]),
        "SOLVE_UNSATISFIABLE",
        ["half-baked 1.0 (requested) needs never-packaged >= 2, which no repository has"],
    ),
    "in another version": (
        document(packages=["chrony=2.0"]),
        "SOLVE_VERSION_UNAVAILABLE",
        ["chrony 2.0: there is 1.0"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_impossible_packages_are_the_users_mistake_and_change_nothing(
    composer: Composer, tmp_path: Path, case: str
) -> None:
    wrong, code, said = CASES[case]
    file = write_document(tmp_path, wrong)
    with nothing_left(composer, tmp_path):
        outcome = composer.run("build", "-f", file, "-o", tmp_path / "out")
    assert outcome.status == 2
    assert outcome.code == code
    assert [words for words in said if words not in outcome.error] == []
    assert outcome.hint
    assert len(outcome.error.splitlines()) <= SCREEN
