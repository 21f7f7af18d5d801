from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from image_composer.errors import PublishError
from image_composer.publish.directory import check_destination, publish
from image_composer.publish.exchange import exchange, exchange_by_renames
from image_composer.run import Runner

MIB = 1024 * 1024


def build(folder: Path, **contents: str) -> dict[str, Path]:
    """Make the files of a build: names with underscores for dots."""
    folder.mkdir(exist_ok=True)
    files = {name.replace("_", "."): text for name, text in {"result_json": "{}", **contents}.items()}
    for name, text in files.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text)
    return {name: folder / name for name in files}


def listing(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A folder on another file system, so that nothing can be linked."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_a_first_publication_makes_the_folder(tmp_path: Path) -> None:
    published = publish(build(tmp_path / "work", edge_raw="image"), tmp_path / "deep" / "out")
    assert published == [tmp_path / "deep/out/edge.raw", tmp_path / "deep/out/result.json"]
    assert listing(tmp_path / "deep/out") == {"edge.raw": "image", "result.json": "{}"}
    assert (tmp_path / "deep/out").stat().st_mode & 0o777 == 0o755


def test_a_later_publication_replaces_all_of_the_former(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(build(tmp_path / "work", old_raw="1", edge_raw="1"), out)
    publish(build(tmp_path / "work2", edge_raw="2"), out)
    assert listing(out) == {"edge.raw": "2", "result.json": "{}"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_files_of_another_disk_are_copied(tmp_path: Path, other_disk: Path) -> None:
    publish(build(other_disk / "work", edge_raw="image"), tmp_path / "out")
    assert listing(tmp_path / "out") == {"edge.raw": "image", "result.json": "{}"}


def test_a_link_as_destination_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    publish(build(tmp_path / "work"), tmp_path / "out")
    assert listing(tmp_path / "real") == {"result.json": "{}"}
    assert (tmp_path / "out").is_symlink()


def test_a_folder_that_is_not_ours_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").write_text("dear")
    with pytest.raises(PublishError) as caught:
        publish(build(tmp_path / "work"), tmp_path / "home")
    assert (caught.value.code, bool(caught.value.hint)) == ("PUBLISH_NOT_OURS", True)
    assert listing(tmp_path / "home") == {"letter": "dear"}


@pytest.mark.parametrize(
    ("destination", "code", "status"),
    [
        ("absent", None, 0),
        ("absent/deep/down", None, 0),
        ("empty", None, 0),
        ("published", None, 0),
        ("home", "PUBLISH_NOT_OURS", 2),
        ("home/letter", "PUBLISH_NOT_OURS", 2),
        ("home/letter/out", "PUBLISH_FAILED", 1),
    ],
)
def test_a_destination_is_checked_without_being_touched(
    tmp_path: Path, destination: str, code: str | None, status: int
) -> None:
    for name in ("empty", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "home/letter").write_text("dear")
    publish(build(tmp_path / "work"), tmp_path / "published")
    before = sorted(tmp_path.rglob("*"))
    if code is None:
        check_destination(tmp_path / destination)
    else:
        with pytest.raises(PublishError) as caught:
            check_destination(tmp_path / destination)
        assert (caught.value.code, caught.value.exit_status) == (code, status)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_in_the_place_of_the_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(PublishError, match="holds something else"):
        publish(build(tmp_path / "work"), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_failure_leaves_the_former_version_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(build(tmp_path / "work", edge_raw="1"), out)
    files = build(tmp_path / "work2", edge_raw="2")
    with pytest.raises(PublishError) as caught:
        publish({**files, "z.raw": tmp_path / "missing"}, out)
    assert caught.value.code == "PUBLISH_FAILED"
    assert listing(out) == {"edge.raw": "1", "result.json": "{}"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "work", "work2"]


def test_what_a_crash_left_is_removed_by_the_next_publication(tmp_path: Path) -> None:
    (tmp_path / ".out.partial-dead").mkdir()
    (tmp_path / ".out.partial-dead/edge.raw").write_text("half")
    publish(build(tmp_path / "work"), tmp_path / "out")
    assert not (tmp_path / ".out.partial-dead").exists()


def test_the_folder_of_a_running_publication_is_left_alone(tmp_path: Path) -> None:
    alive = tmp_path / ".out.partial-alive"
    alive.mkdir()
    lock = os.open(alive, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publish(build(tmp_path / "work"), tmp_path / "out")
        assert alive.is_dir()
    finally:
        os.close(lock)


def test_a_former_version_that_a_crash_left_aside_comes_back(tmp_path: Path) -> None:
    aside = tmp_path / ".out.partial-dead.former"
    aside.mkdir()
    (aside / "result.json").write_text("former")
    with pytest.raises(PublishError):
        publish({**build(tmp_path / "work"), "z": tmp_path / "missing"}, tmp_path / "out")
    assert listing(tmp_path / "out") == {"result.json": "former"}


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    """In a mount namespace of its own, so that the tiny disk goes away with it, whatever happens."""
    work = tmp_path / "work"
    build(work)
    (work / "edge.raw").write_bytes(os.urandom(2 * MIB))
    disk = tmp_path / "disk"
    disk.mkdir()
    program = (
        "import sys, pathlib\n"
        "from image_composer.errors import PublishError\n"
        "from image_composer.publish.directory import publish\n"
        "work, disk = map(pathlib.Path, sys.argv[1:])\n"
        "try:\n"
        "    publish({path.name: path for path in work.iterdir()}, disk / 'out')\n"
        "except PublishError as error:\n"
        "    print(error.code, [path.name for path in disk.iterdir()])\n"
    )
    script = 'mount -t tmpfs -o size=1m tiny "$2" && exec "$0" -c "$3" "$1" "$2"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    done = Runner().run([*inside, sys.executable, work, disk, program], check=False)
    if b"unshare" in done.stderr:
        pytest.skip("this machine allows no user namespaces")
    assert (done.stdout, done.stderr) == (b"PUBLISH_DISK_FULL []\n", b"")


def test_a_reader_never_finds_the_folder_missing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(build(tmp_path / "work", edge_raw="0"), out)
    done = threading.Event()
    missing: list[bool] = []

    def watch() -> None:
        while not done.is_set():
            missing.append(not out.is_dir())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(20):
            publish(build(tmp_path / f"work{number}", edge_raw=str(number)), out)
    finally:
        done.set()
        watcher.join()
    assert not any(missing)
    assert listing(out) == {"edge.raw": "19", "result.json": "{}"}


@pytest.mark.parametrize("way", [exchange, exchange_by_renames])
def test_folders_change_places(tmp_path: Path, way: object) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert callable(way)
    way(tmp_path / "a", tmp_path / "b")
    assert [list(listing(tmp_path / name)) for name in "ab"] == [["b"], ["a"]]


def test_an_exchange_that_fails_half_way_is_undone(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(OSError, match="No such file"):
        exchange_by_renames(tmp_path / "missing", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_copied_image_keeps_its_holes(tmp_path: Path, other_disk: Path) -> None:
    files = build(tmp_path / "work", edge_raw="")
    with files["edge.raw"].open("wb") as stream:
        stream.seek(3 * MIB)
        stream.write(os.urandom(MIB))
        stream.truncate(16 * MIB)
    publish(files, other_disk / "out")
    copy = other_disk / "out/edge.raw"
    assert copy.read_bytes() == files["edge.raw"].read_bytes()
    assert copy.stat().st_blocks * 512 <= MIB + 64 * 1024
