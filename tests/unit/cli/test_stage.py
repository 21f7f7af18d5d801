"""Stages by themselves: skipped at no cost when there is nothing to do, and told of in a message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from image_composer.pod.message import StageMessage
from image_composer.stages import STAGES
from image_composer.workspace import PUBLISHED_FILE
from support.composer import Composer

PUBLISHED: dict[str, Any] = {
    "folder": "s3://images/edge/default/edge/1.0-0123456789ab/",
    "result": "result.json",
    "artifacts": [],
    "documents": [],
    "specDigest": "1",
    "lockDigest": "2",
    "packageCount": 1,
    "kernelVersion": "6.1",
    "builderVersion": "0",
    "reused": True,
}
LATER = [stage.name for stage in STAGES[1:]]


def published(workspace: Path, **changes: Any) -> None:
    (workspace / PUBLISHED_FILE).write_text(json.dumps({**PUBLISHED, **changes}))


@pytest.fixture
def message(tmp_path: Path) -> Path:
    return tmp_path / "message"


@pytest.fixture
def composer(tmp_path: Path, message: Path) -> Composer:
    return Composer(tmp_path / "cache", {"IMAGE_COMPOSER_TERMINATION_LOG": str(message)})


@pytest.mark.parametrize("name", LATER)
def test_a_stage_with_nothing_left_to_do_says_so_and_succeeds(
    composer: Composer, message: Path, tmp_path: Path, name: str
) -> None:
    published(tmp_path)
    outcome = composer.run("stage", name, "--workspace", tmp_path)
    assert (outcome.status, outcome.said) == (0, f"{name}: already published\n")
    read = StageMessage.model_validate_json(message.read_bytes())
    assert (read.stage, read.ok, read.note) == (name, True, "already published")
    assert (read.result is not None) == (name == "publish")
    assert list(tmp_path.iterdir()) != []
    assert not (tmp_path / "cache").exists()


def test_a_skipped_stage_loads_next_to_nothing(tmp_path: Path) -> None:
    published(tmp_path)
    words = ["-X", "importtime", "-c", "from image_composer.cli.main import main; main()"]
    done = subprocess.run(
        [sys.executable, *words, "stage", "assemble", "--workspace", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "click" in loaded
    assert loaded.isdisjoint({"pydantic", "yaml", "solv", "urllib3", "boto3", "rich", "image_composer.steps.build"})


@pytest.mark.parametrize("case", ["published by this run", "another destination", "validate"])
def test_a_stage_is_run_where_something_is_left_to_do(composer: Composer, tmp_path: Path, case: str) -> None:
    published(tmp_path, reused=case != "published by this run")
    words = ["--output", str(tmp_path / "out")] if case == "another destination" else []
    if case == "validate":
        (tmp_path / "x.json").write_text("{}")
        outcome = composer.run("stage", "validate", "--workspace", tmp_path, "--file", tmp_path / "x.json")
        assert outcome.status == 2
        assert not (tmp_path / PUBLISHED_FILE).exists()
    else:
        assert composer.run("stage", "resolve", "--workspace", tmp_path, *words).code == "WORKSPACE_INCOMPLETE"


def test_a_damaged_account_of_what_is_published_is_an_error(composer: Composer, message: Path, tmp_path: Path) -> None:
    (tmp_path / PUBLISHED_FILE).write_text("[")
    assert composer.run("stage", "fetch", "--workspace", tmp_path).code == "WORKSPACE_INCOMPLETE"
    failure = StageMessage.model_validate_json(message.read_bytes()).failure
    assert failure is not None
    assert failure.code == "WORKSPACE_INCOMPLETE"


def test_wrong_settings_are_told_in_the_message_too(composer: Composer, message: Path, tmp_path: Path) -> None:
    environment = {**composer.environment, "IMAGE_COMPOSER_JOBS": "many", "IMAGE_COMPOSER_TIMEOUT": "0"}
    assert Composer(composer.cache, environment).run("stage", "fetch", "--workspace", tmp_path).status == 2
    failure = StageMessage.model_validate_json(message.read_bytes()).failure
    assert failure is not None
    assert "IMAGE_COMPOSER_JOBS" in failure.message
    assert "IMAGE_COMPOSER_TIMEOUT" in failure.message


def test_every_stage_is_there_when_it_is_called() -> None:
    for stage in STAGES:
        with pytest.raises(AttributeError):
            # Without arguments it ends at once, but it was there to be called.
            stage.run(None)  # type: ignore[arg-type]
