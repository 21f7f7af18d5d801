"""Termination messages: always JSON, never longer than the kubelet keeps, never with a secret."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_composer.cli.secrets import hider
from image_composer.cli.termination import Conclusion, leave_message, log_file, message_bytes
from image_composer.errors import ComposerError, Problem, SpecError
from image_composer.pod.message import (
    MESSAGE_BYTES,
    PublishedArtifact,
    PublishedDocument,
    PublishedResult,
    StageMessage,
)


def message(conclusion: Conclusion, name: str = "resolve") -> StageMessage:
    return StageMessage.model_validate_json(message_bytes(name, conclusion))


def failed(error: ComposerError) -> StageMessage:
    return message(Conclusion(failure=error))


def result(artifacts: int = 1, documents: int = 3) -> PublishedResult:
    return PublishedResult(
        folder="s3://images/edge/default/edge/1.0-0123456789ab/",
        result="result.json",
        artifacts=[
            PublishedArtifact(format="raw", compression="zstd", file=f"{n}.raw.zst", size=n, sha256="a" * 64)
            for n in range(artifacts)
        ],
        documents=[PublishedDocument(kind="sbom", file=f"{n}.json", sha256="b" * 64) for n in range(documents)],
        spec_digest="1" * 64,
        lock_digest="2" * 64,
        package_count=169,
        kernel_version="6.1.0",
        builder_version="0.1.0",
    )


def test_a_success_says_what_was_done() -> None:
    content = message_bytes("resolve", Conclusion(note="169 packages, 75 MB"))
    assert json.loads(content) == {"v": 1, "stage": "resolve", "ok": True, "note": "169 packages, 75 MB"}
    assert b": " not in content


def test_a_failure_says_why_and_whether_trying_again_helps() -> None:
    error = ComposerError("REPO_UNREACHABLE", "the mirror is silent", hint="wait", retryable=True)
    assert json.loads(message_bytes("fetch", Conclusion(failure=error))) == {
        "v": 1,
        "stage": "fetch",
        "ok": False,
        "failure": {
            "code": "REPO_UNREACHABLE",
            "message": "the mirror is silent",
            "hint": "wait",
            "retryable": True,
        },
    }


def test_every_problem_of_a_document_is_told() -> None:
    failure = failed(SpecError([Problem("spec.a", "is missing"), Problem("spec.b", "is wrong")])).failure
    assert failure is not None
    assert (failure.code, failure.message) == ("SPEC_INVALID", "spec.a: is missing\nspec.b: is wrong")


def test_what_is_too_long_is_cut_and_shows_it() -> None:
    failure = failed(ComposerError("X", "long " * 1000, hint="hint " * 1000)).failure
    assert failure is not None
    assert failure.message.startswith("long long")
    assert failure.message.endswith("...")
    assert failure.hint is not None
    assert failure.hint.endswith("...")


@settings(deadline=None)  # other work on the machine is no defect
@given(st.text() | st.text(st.characters()), st.none() | st.text(), st.integers(1, 3000), st.text(max_size=100))
def test_whatever_a_failure_says_its_message_is_json_and_fits(
    text: str, hint: str | None, times: int, code: str
) -> None:
    error = ComposerError(code, text * times, hint=hint and hint * times)
    content = message_bytes("assemble", Conclusion(failure=error, note=text * times))
    assert len(content) <= MESSAGE_BYTES
    read = StageMessage.model_validate_json(content)
    assert read.failure is not None
    assert not read.ok


@settings(deadline=None)  # other work on the machine is no defect
@given(st.integers(0, 200), st.integers(0, 200))
def test_a_result_of_any_length_fits(artifacts: int, documents: int) -> None:
    content = message_bytes("publish", Conclusion(result=result(artifacts, documents), note="published"))
    assert len(content) <= MESSAGE_BYTES
    read = StageMessage.model_validate_json(content)
    assert read.result is not None
    if len(read.result.artifacts) + len(read.result.documents) < artifacts + documents:
        assert read.note == "shortened: result.json lists everything"
    else:
        assert read.result == result(artifacts, documents).brief()


def test_artifacts_are_left_out_before_documents_since_attest_tells_of_them_too() -> None:
    read = message(Conclusion(result=result(8, 3)))
    assert read.result is not None
    assert (len(read.result.artifacts), len(read.result.documents)) == (0, 3)
    attested = message(Conclusion(artifacts=result(5, 0).artifacts), "attest")
    assert attested.artifacts == result(5, 0).artifacts


def test_what_a_status_has_no_place_for_is_not_told() -> None:
    whole = result(1, 3)
    other = PublishedDocument(kind="verification", file="v.json", sha256="c" * 64)
    read = message(Conclusion(result=whole.model_copy(update={"documents": [*whole.documents, other]}))).result
    assert read is not None
    assert read.documents == whole.documents
    assert read.spec_digest is None


def test_control_characters_are_not_passed_on() -> None:
    failure = failed(ComposerError("X", "a\x1b[31mb\x00c")).failure
    assert failure is not None
    assert failure.message == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}c"


def test_nothing_is_written_where_nobody_waits_for_it() -> None:
    assert leave_message({}, "fetch", Conclusion(), str) is None


def test_a_former_message_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "message"
    place.write_text("x" * 9000)
    environment = {"IMAGE_COMPOSER_TERMINATION_LOG": str(place)}
    assert leave_message(environment, "fetch", Conclusion(), str) is None
    assert json.loads(place.read_text())["stage"] == "fetch"
    lost = leave_message({"IMAGE_COMPOSER_TERMINATION_LOG": str(tmp_path / "no/folder")}, "x", Conclusion(), str)
    assert lost is not None
    assert "no/folder" in lost


SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize("where", ["environment", "S3", "S3_INPUTS"])
def test_secrets_are_hidden_wherever_they_come_from(tmp_path: Path, where: str) -> None:
    environment: dict[str, Any] = {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": f"{SECRET}-longer"}
    if where != "environment":
        for name, value in environment.items():
            (tmp_path / name).write_text(f"{value}\n")
        environment = {f"IMAGE_COMPOSER_{where}_CREDENTIALS": str(tmp_path)}
    hide = hider(environment)
    error = ComposerError("X", f"refused: {SECRET}-longer and {SECRET}", hint=f"not {SECRET}")
    content = message_bytes("publish", Conclusion(failure=error, note=SECRET), hide).decode()
    assert SECRET not in content
    assert "refused: *** and ***" in content


def test_passwords_in_addresses_are_hidden() -> None:
    hide = hider({"AWS_SECRET_ACCESS_KEY": "short"})
    assert (
        hide("proxy http://me:secret@proxy:3128/ and s3://images/a") == "proxy http://***@proxy:3128/ and s3://images/a"
    )
    assert hide("a short text") == "a short text"


def test_what_opens_a_pre_signed_address_is_hidden() -> None:
    address = "https://s3.example.org/a?X-Amz-Expires=60&X-Amz-Security-Token=a%2Fb%3D&X-Amz-Signature=0a1b2c"
    assert hider({})(f"downloading {address}, again") == (
        "downloading https://s3.example.org/a?X-Amz-Expires=60&X-Amz-Security-Token=***&X-Amz-Signature=***, again"
    )


def test_a_log_file_is_added_to_and_its_folder_open_to_other_users(tmp_path: Path) -> None:
    place = tmp_path / "logs/03-fetch.log"
    for word in ("one\n", "two\n"):
        with log_file({"IMAGE_COMPOSER_LOG_FILE": str(place)}) as stream:
            assert stream is not None
            stream.write(word)
    assert place.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o777
    assert stat.S_IMODE(place.stat().st_mode) & 0o444 == 0o444


def test_a_log_file_that_can_not_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for place in (tmp_path / "link", Path("/proc/none/log")):
        with log_file({"IMAGE_COMPOSER_LOG_FILE": str(place)}) as stream:
            assert stream is None
    assert not (tmp_path / "elsewhere").exists()
    with log_file({}) as stream:
        assert stream is None


def test_a_full_disk_does_not_end_a_build_for_want_of_its_log() -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("there is no /dev/full")
    with log_file({"IMAGE_COMPOSER_LOG_FILE": "/dev/full"}) as stream:
        assert stream is not None
        assert stream.write("x") == 1
