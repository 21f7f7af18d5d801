"""Documents that can't be right: every problem is named with its path, and nothing is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.composer import SCREEN, Composer, nothing_left, write_document
from support.distribution import document

USER = {"name": "ann", "sshAuthorizedKeys": ["ssh-ed25519 AAAAC3Nz not-a-key"]}


def with_target(**target: str) -> dict[str, Any]:
    return document(target={"distribution": "testing", "release": "1", **target})


def with_typo() -> dict[str, Any]:
    wrong = document()
    wrong["spec"]["image"]["pakages"] = []
    return wrong


CASES = {
    "unknown distribution": (
        with_target(distribution="plan9"),
        "SPEC_UNKNOWN_TARGET",
        ["spec.image.target.distribution", "'plan9'", "testing", "image-composer providers"],
    ),
    "unknown release": (
        with_target(release="99"),
        "SPEC_UNKNOWN_TARGET",
        ["spec.image.target.release", "'99'", "image-composer providers"],
    ),
    "unknown architecture": (
        with_target(architecture="aarch64"),
        "SPEC_UNKNOWN_TARGET",
        ["spec.image.target.architecture", "x86_64"],
    ),
    "malformed JSON": ('{"name": "edge",\n "version": }', "SPEC_MALFORMED", ["edge.json", "line 2, column 13"]),
    "malformed YAML": ("name: [edge\nversion: 1\n", "SPEC_MALFORMED", ["edge.json", "line 2"]),
    "empty": ("", "SPEC_MALFORMED", ["edge.json is empty"]),
    "unknown field": (with_typo(), "SPEC_UNKNOWN_FIELD", ["spec.image.pakages", "image-composer schema"]),
    "not a manifest of ours": (document() | {"kind": "Pod"}, "SPEC_INVALID", ["kind", "'ImageBuild'", "'Pod'"]),
    "bad SSH key": (document(users=[USER]), "SPEC_INVALID", ["spec.image.users[0].sshAuthorizedKeys[0]"]),
    "asked for and excluded": (
        document(packages=["chrony"], excludePackages=["chrony"]),
        "SPEC_INVALID",
        ["spec.image.excludePackages[0]", "chrony"],
    ),
    "disk size without a unit": (document(disk={"size": "8"}), "SPEC_INVALID", ["spec.image.disk.size", "'8'"]),
    "several at once": (
        document(users=[USER], packages=["a b"], disk={"size": "huge"}, hostname="-"),
        "SPEC_INVALID",
        [
            "4 problems",
            "spec.image.users[0].sshAuthorizedKeys[0]",
            "spec.image.packages[0]",
            "spec.image.disk.size",
            "spec.image.hostname",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_document_is_the_users_mistake_and_changes_nothing(
    composer: Composer, tmp_path: Path, case: str
) -> None:
    wrong, code, said = CASES[case]
    file = write_document(tmp_path, wrong)
    with nothing_left(composer, tmp_path):
        outcome = composer.run("build", "-f", file, "-o", tmp_path / "out")
    assert outcome.status == 2
    assert outcome.code == code
    assert [words for words in said if words not in outcome.error] == []
    assert len(outcome.error.splitlines()) <= SCREEN
    assert outcome.printed == ""


def test_machines_get_every_problem_with_path_and_code(composer: Composer, tmp_path: Path) -> None:
    file = write_document(tmp_path, document(users=[USER], disk={"size": "huge"}))
    outcome = composer.run("validate", file, options=["--log-format", "json"])
    error = json.loads(outcome.said.splitlines()[-1])
    assert outcome.status == 2
    assert error["kind"] == "error"
    assert [(problem["path"], problem["code"]) for problem in error["problems"]] == [
        ("spec.image.users[0].sshAuthorizedKeys[0]", "SPEC_INVALID"),
        ("spec.image.disk.size", "SPEC_INVALID"),
    ]


def test_a_document_that_is_not_there_is_named(composer: Composer, tmp_path: Path) -> None:
    outcome = composer.run("build", "-f", tmp_path / "absent.yaml", "-o", tmp_path / "out")
    assert (outcome.status, outcome.code) == (2, "SPEC_UNREADABLE")
    assert "absent.yaml" in outcome.error


def test_a_document_comes_from_standard_input_too(composer: Composer) -> None:
    assert composer.run("validate", "-", stdin=json.dumps(document())).status == 0
    assert composer.run("validate", "-", stdin=json.dumps(with_typo())).code == "SPEC_UNKNOWN_FIELD"
