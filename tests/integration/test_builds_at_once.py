"""Two builds at the same time share a cache and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from support.composer import Composer, events, nothing_left, write_document
from support.countingmirror import counting
from support.distribution import document

pytestmark = [pytest.mark.network, pytest.mark.build]


def test_two_builds_at_once_succeed_and_fetch_each_file_once(
    bootable: Composer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with counting() as mirror:
        environment = {**bootable.environment, **mirror.environment()}
        composer = replace(bootable, cache=tmp_path_factory.mktemp("empty"), environment=environment)
        with nothing_left(composer):
            documents = [write_document(tmp_path, document(name=name), f"{name}.json") for name in ("one", "two")]
            running = [composer.start("build", "-f", file, "-o", tmp_path / file.stem) for file in documents]
            with ThreadPoolExecutor(len(running)) as pool:  # one that can't go on talking holds the other up
                said = list(pool.map(lambda process: list(events(process)), running))
            assert [process.wait() for process in running] == [0, 0], said
    assert [(tmp_path / name / "result.json").exists() for name in ("one", "two")] == [True, True]
    fetched = {path: count for path, count in mirror.wanted.items() if not path.endswith("InRelease")}
    assert len([path for path in fetched if path.endswith(".deb")]) > 50
    assert {path: count for path, count in fetched.items() if count > 1} == {}


def test_one_workspace_is_for_one_build(bootable: Composer, tmp_path: Path) -> None:
    file = write_document(tmp_path, document())
    workspace = tmp_path / "workspace"
    with bootable.start("build", "-f", file, "-o", tmp_path / "out", "--workspace", workspace) as process:
        next(event for event in events(process) if event.get("stage") == "resolve")
        outcome = bootable.run("stage", "validate", "--file", file, "--workspace", workspace)
        process.kill()
    assert (outcome.status, outcome.code) == (1, "WORKSPACE_IN_USE")
    assert str(workspace) in outcome.error
