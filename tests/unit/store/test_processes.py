"""Processes that share a store, are killed, or find the disk full."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image_composer.digest import file_sha256
from image_composer.store.content import ContentStore
from support.httpserver import HttpServer, Stalled
from support.obtain import finish, start
from support.packages import content, downloader, wanted

MIB = 1024 * 1024
BODY = content("body", 3 * MIB)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)


def test_two_processes_that_want_one_file_fetch_it_once(server: HttpServer, root: Path) -> None:
    item = wanted(BODY, server.serve("/a", BODY, Stalled(MIB)))
    first = start(root, item)
    assert server.stalled.wait(20)
    second = start(root, item)
    until(lambda: len(list((root / "leases").iterdir())) == 3)  # the gate, and one of each
    server.release()
    assert finish(first) == finish(second)
    assert len(server.requests) == 1


def test_a_killed_process_leaves_nothing_wrong_and_the_next_goes_on(server: HttpServer, root: Path) -> None:
    item = wanted(BODY, server.serve("/a", BODY, Stalled(MIB)))
    process = start(root, item)
    partial = root / "partial" / item.sha256
    until(lambda: partial.exists() and partial.stat().st_size == MIB)
    process.kill()
    process.wait()
    assert list((root / "objects").rglob("*")) == []

    path = ContentStore(root, 100 * MIB).obtain(item, downloader(root))
    assert path.read_bytes() == BODY
    assert [request.range for request in server.requests] == [None, f"bytes={MIB}-"]
    assert list((root / "partial").iterdir()) == []


def test_a_process_waiting_for_one_that_is_killed_takes_over(server: HttpServer, root: Path) -> None:
    item = wanted(BODY, server.serve("/a", BODY, Stalled(MIB)))
    first = start(root, item)
    partial = root / "partial" / item.sha256
    until(lambda: partial.exists() and partial.stat().st_size == MIB)
    second = start(root, item)
    until(lambda: len(list((root / "leases").iterdir())) == 3)
    first.kill()
    assert Path(finish(second)["path"]).read_bytes() == BODY
    assert server.requests[1].range == f"bytes={MIB}-"
    first.wait()


@pytest.mark.parametrize("sign", ["leases/*", "locks/*", "partial/*", "objects/*/*"])
def test_whenever_a_process_is_killed_every_object_is_what_its_name_says(
    server: HttpServer, root: Path, sign: str
) -> None:
    item = wanted(BODY, server.serve("/a", BODY))
    process = start(root, item)
    until(lambda: any(root.glob(sign)))
    process.kill()
    process.wait()
    for path in (root / "objects").glob("*/*"):
        assert file_sha256(path) == path.name
    store = ContentStore(root, 100 * MIB)
    assert store.obtain(item, downloader(root)).read_bytes() == BODY
    store.clear()
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["gate"]


MAKE = """
import sys, time
from pathlib import Path
from image_composer.store.content import ContentStore

root, log, waiting = map(Path, sys.argv[1:])

def pause(seconds):
    waiting.touch()
    time.sleep(seconds)

def make(path):
    with log.open("a") as stream:
        stream.write("made\\n")
    while not waiting.exists():  # until the other one has come to the lock
        time.sleep(0.001)
    path.write_bytes(b"derived")

print(ContentStore(root, 1 << 20, pause=pause).derived("index", "ab" * 32, make).read_bytes().decode())
"""


def test_two_processes_that_derive_one_file_make_it_once(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = [sys.executable, "-c", MAKE, str(root), str(log), str(tmp_path / "waiting")]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=30)[0] for process in processes] == ["derived\n"] * 2
    assert log.read_text() == "made\n"


@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0,
    reason="a file system of its own can't be mounted here",
)
def test_a_full_disk_is_named_with_what_was_needed_and_is_not_kept_full(server: HttpServer, tmp_path: Path) -> None:
    item = wanted(BODY, server.serve("/a", BODY))
    root = tmp_path / "small"
    root.mkdir()
    script = 'mount -t tmpfs -o size=1m none "$0" && "$@" && find "$0/partial" -type f >&2'
    process = start(root, item, "unshare", "-m", "sh", "-c", script, str(root))
    found = finish(process)
    assert found["code"] == "STORE_DISK_FULL"
    assert f"no room in {root} for a-package 1.0, which needs 3.0 MiB" in found["message"]
    assert "IMAGE_COMPOSER_CACHE_DIR" in found["hint"]


@pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["setpriv", "--version"], check=False, capture_output=True).returncode != 0,
    reason="needs root to become somebody else",
)
def test_a_folder_that_may_not_be_written_is_named_with_a_way_out(root: Path) -> None:
    root.mkdir(mode=0o755)
    code = (
        "import sys; from pathlib import Path; from image_composer.store.content import ContentStore\n"
        "from image_composer.errors import StoreError\n"
        "try: ContentStore(Path(sys.argv[1]), 1)\n"
        "except StoreError as error: print(error.code, error.hint)"
    )
    for folder in (root, *root.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    words = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", code, str(root)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.stdout.startswith("STORE_UNWRITABLE"), done.stderr
    assert "IMAGE_COMPOSER_CACHE_DIR" in done.stdout
