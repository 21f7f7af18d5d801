"""Workspaces: a folder of one's own, gone afterwards, whatever happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from image_composer.cli.memory import available_memory
from image_composer.cli.workspaces import opened_workspace
from image_composer.errors import ComposerError, StoreError
from image_composer.workspace import FetchedPackages, NormalisedSpec, Workspace
from support.specs import image_spec

HOLDER = """
import sys
from pathlib import Path
from image_composer.cli.workspaces import opened_workspace
with opened_workspace(None, Path(sys.argv[1])) as workspace:
    print(workspace.folder, flush=True)
    sys.stdin.read()
"""


def held(cache: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a workspace, and give the folder."""
    argv = [sys.executable, "-c", HOLDER, str(cache)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_workspace_is_gone_afterwards(tmp_path: Path) -> None:
    with opened_workspace(None, tmp_path) as workspace:
        (workspace.folder / "root/deep").mkdir(parents=True)
        assert workspace.folder.stat().st_mode & 0o777 == 0o755
    assert not workspace.folder.exists()


@pytest.mark.parametrize("error", [ValueError, PermissionError, KeyboardInterrupt])
def test_a_workspace_is_gone_whatever_ends_the_build(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), opened_workspace(None, tmp_path) as workspace:
        raise error
    assert not workspace.folder.exists()


def test_a_workspace_that_was_given_stays(tmp_path: Path) -> None:
    for _ in range(2):
        with opened_workspace(tmp_path / "deep/w", tmp_path / "cache") as workspace:
            assert workspace.folder == tmp_path / "deep/w"
    assert workspace.folder.is_dir()
    assert not (tmp_path / "cache").exists()


def test_what_a_killed_build_left_is_removed_and_what_a_running_one_has_is_not(tmp_path: Path) -> None:
    killed, left = held(tmp_path)
    running, in_use = held(tmp_path)
    with killed, running:
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
        assert left.is_dir()
        with opened_workspace(None, tmp_path):
            assert not left.exists()
            assert in_use.is_dir()
        running.communicate(timeout=20)
    assert not in_use.exists()


def test_many_builds_can_begin_at_once(tmp_path: Path) -> None:
    """One looks for abandoned folders just when another has made its own."""

    def once(_: int) -> bool:
        with opened_workspace(None, tmp_path) as workspace:
            return workspace.folder.is_dir()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(once, range(100)))


def test_a_workspace_is_one_build_s(tmp_path: Path) -> None:
    with (
        opened_workspace(tmp_path, tmp_path),
        pytest.raises(StoreError, match="another build is using") as caught,
        opened_workspace(tmp_path, tmp_path),
    ):
        pass
    assert caught.value.code == "WORKSPACE_IN_USE"


def test_a_folder_that_can_not_be_written_is_explained() -> None:
    with pytest.raises(StoreError) as caught, opened_workspace(None, Path("/sys/nowhere")):
        pass
    assert (caught.value.code, "IMAGE_COMPOSER_CACHE_DIR" in (caught.value.hint or "")) == ("STORE_UNWRITABLE", True)


def test_models_are_written_and_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    spec = NormalisedSpec(path="spec.image", image=image_spec(users=[{"name": "me"}]))
    workspace.write(workspace.spec, spec)
    assert workspace.read(workspace.spec, NormalisedSpec) == spec
    assert spec.field("target") == "spec.image.target"
    assert NormalisedSpec(path="", image=spec.image).field("target") == "target"
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]


def test_the_same_spec_has_the_same_digest_wherever_it_stood() -> None:
    one, other = image_spec(), image_spec(hostname="x")
    assert NormalisedSpec(path="a", image=one).digest() == NormalisedSpec(path="", image=one).digest()
    assert NormalisedSpec(path="", image=one).digest() != NormalisedSpec(path="", image=other).digest()


@pytest.mark.parametrize("content", [None, "", "{", '{"files": 1}', '{"files": {}, "newest": 1, "more": 2}'])
def test_what_an_earlier_stage_did_not_write_is_told(tmp_path: Path, content: str | None) -> None:
    workspace = Workspace(tmp_path)
    if content is not None:
        workspace.fetched.write_text(content)
    with pytest.raises(ComposerError, match=r"fetch\.json is missing from the workspace") as caught:
        workspace.read(workspace.fetched, FetchedPackages)
    assert caught.value.code == "WORKSPACE_INCOMPLETE"


def test_a_damaged_spec_does_not_tell_passwords(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    image = {**image_spec().model_dump(mode="json"), "users": [{"name": "me", "passwordHash": "secret"}]}
    workspace.write_text(workspace.spec, json.dumps({"path": "", "image": image}))
    with pytest.raises(ComposerError) as caught:
        workspace.read(workspace.spec, NormalisedSpec)
    assert "passwordHash" in caught.value.message
    assert "secret" not in caught.value.message


MEMINFO = "MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": MEMINFO}, 4000 * 1024),
        ({"/proc/meminfo": MEMINFO, "/sys/fs/cgroup/memory.max": "max\n"}, 4000 * 1024),
        ({"/proc/meminfo": MEMINFO, "/sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20),
        ({"/proc/meminfo": MEMINFO, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152\n"}, 2 << 20),
        ({"/proc/meminfo": "garbage\n"}, 0),
        ({}, 0),
    ],
)
def test_the_memory_that_may_be_used_is_the_smallest_that_is_left(files: dict[str, str], expected: int) -> None:
    assert available_memory(files) == expected
