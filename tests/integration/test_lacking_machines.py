"""Machines on which a build can't go on: full or unwritable disks, missing programs. Nothing half-made is left."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from image_composer.evidence.result import RESULT_FILE
from support.composer import SCREEN, Composer, Outcome, nothing_left, write_document
from support.distribution import document
from support.worlds import left, read_only, small_disk, without

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


def check(outcome: Outcome, code: str, *said: str, status: int = 1) -> None:
    assert outcome.code == code, outcome.said
    assert outcome.status == status
    assert [words for words in said if words not in outcome.error] == []
    assert len(outcome.error.splitlines()) <= SCREEN


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_document(tmp_path, document())


def test_a_cache_without_room_fails_the_fetch(
    composer: Composer, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("full")
    on_small_disk = replace(composer, cache=cache, prefix=small_disk(cache, 1))
    big = write_document(file.parent, document(packages=["big"]), "big.json")
    with nothing_left(on_small_disk, file.parent):
        outcome = on_small_disk.run("build", "-f", big, "-o", file.with_name("out"))
    check(outcome, "STORE_DISK_FULL", str(cache), "big 1.0", "IMAGE_COMPOSER_CACHE_DIR")
    assert [path for path in left(outcome.printed) if "workspaces" in path.parts] == []


def test_a_cache_that_can_not_be_written_fails_at_once(
    composer: Composer, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("read-only")
    outcome = replace(composer, cache=cache, prefix=read_only(cache)).run(
        "build", "-f", file, "-o", file.with_name("out")
    )
    check(outcome, "STORE_UNWRITABLE", str(cache), "IMAGE_COMPOSER_CACHE_DIR")
    assert list(cache.iterdir()) == []


def test_a_destination_that_can_not_be_written_fails_at_once(composer: Composer, file: Path) -> None:
    place = file.with_name("place")
    place.mkdir()
    closed = replace(composer, prefix=read_only(place))
    with nothing_left(composer, file.parent):
        outcome = closed.run("build", "-f", file, "-o", place / "out")
    check(outcome, "PUBLISH_FAILED", str(place))
    assert "resolve" not in outcome.said


def test_a_program_that_is_missing_is_named_with_what_to_do(composer: Composer, file: Path) -> None:
    with nothing_left(composer, file.parent):
        outcome = replace(composer, prefix=without("gpgv")).run("build", "-f", file, "-o", file.with_name("out"))
    check(outcome, "TOOL_MISSING", "gpgv", "image-composer doctor")


@pytest.mark.network
@pytest.mark.build
@pytest.mark.parametrize(("program", "stage"), [("xz", "assemble"), ("mke2fs", "image"), ("sfdisk", "image")])
def test_a_program_that_a_later_stage_needs_is_named_too(
    bootable: Composer, finished: Path, program: str, stage: str
) -> None:
    outcome = replace(bootable, prefix=without(program)).run("stage", stage, "--workspace", finished)
    check(outcome, "TOOL_MISSING", program, "image-composer doctor")


@pytest.mark.network
@pytest.mark.build
def test_a_workspace_without_room_fails_the_assembly(bootable: Composer, finished: Path, file: Path) -> None:
    workspace = file.with_name("workspace")
    workspace.mkdir()
    lock = finished / "lock.json"
    cramped = replace(bootable, prefix=small_disk(workspace, 80))
    with nothing_left(bootable, file.parent):
        outcome = cramped.run(
            "build", "-f", file, "-o", file.with_name("out"), "--workspace", workspace, "--lock", lock
        )
    check(outcome, "TOOL_DISK_FULL", "--workspace")


@pytest.mark.network
@pytest.mark.build
def test_a_destination_without_room_stays_as_it_was(bootable: Composer, finished: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    outcome = replace(bootable, prefix=small_disk(disk, 20)).run(
        "stage", "publish", "--workspace", finished, "--output", disk / "out"
    )
    check(outcome, "PUBLISH_DISK_FULL", str(disk))
    assert left(outcome.printed) == []


@pytest.mark.network
@pytest.mark.build
def test_a_disk_too_small_for_the_content_is_the_users_mistake(
    bootable: Composer, finished: Path, tmp_path: Path
) -> None:
    file = write_document(tmp_path, document(disk={"size": "64MiB"}))
    with nothing_left(bootable, tmp_path):
        outcome = bootable.run("build", "-f", file, "-o", tmp_path / "out", "--lock", finished / "lock.json")
    check(outcome, "DISK_TOO_SMALL", "spec.image.disk.size", "64MiB", "at least", "root", "ESP", status=2)
    assert "hint: set spec.image.disk.size to" in outcome.error


@pytest.mark.network
@pytest.mark.build
def test_a_partition_too_small_for_its_content_is_the_users_mistake(
    bootable: Composer, finished: Path, tmp_path: Path
) -> None:
    partitions = [
        {"label": "ESP", "type": "esp", "filesystem": "vfat", "mountPoint": "/boot/efi"},
        {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/", "size": "40MiB"},
    ]
    file = write_document(tmp_path, document(disk={"partitions": partitions}))
    original = (finished / "spec.json").read_text()
    try:
        assert bootable.run("stage", "validate", "--workspace", finished, "--file", file).status == 0
        outcome = bootable.run("stage", "image", "--workspace", finished)
    finally:
        (finished / "spec.json").write_text(original)
    check(outcome, "DISK_TOO_SMALL", "spec.image.disk.partitions[1].size", "40MiB", status=2)


@pytest.mark.network
@pytest.mark.build
def test_what_was_published_before_survives_a_build_that_fails(
    bootable: Composer, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert bootable.run("stage", "publish", "--workspace", finished, "--output", out).status == 0
    assert json.loads((out / RESULT_FILE).read_text())["name"] == "edge"
    file = write_document(tmp_path, document(packages=["opennssh-server"]))
    with nothing_left(bootable, tmp_path):
        assert bootable.run("build", "-f", file, "-o", out).status == 2
