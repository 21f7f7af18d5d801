"""The content-addressed store in one process."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from image_composer.errors import RepositoryError, StoreError
from image_composer.store.content import ContentStore, Trimmed, Usage, Wanted
from support.events import Recorded
from support.httpserver import Content, HttpServer, Stalled, Status, Truncated
from support.packages import content, downloader, wanted

MIB = 1024 * 1024
BODY = content("body", 300_000)
KEY = "ab" * 32


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(root: Path) -> ContentStore:
    return new_store(root)


def new_store(root: Path, max_bytes: int = 100 * MIB) -> ContentStore:
    """A store whose clock goes on one second with each use."""
    ticks = count(1_700_000_000)
    return ContentStore(root, max_bytes, clock=lambda: float(next(ticks)))


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for folder in ("partial", "locks") for path in (root / folder).iterdir())


class TestObtain:
    def test_gives_the_file_and_asks_for_it_once(self, server: HttpServer, store: ContentStore, root: Path) -> None:
        item = wanted(BODY, server.serve("/a", BODY))
        first = store.obtain(item, downloader(root))
        assert first.read_bytes() == BODY
        assert store.obtain(item, downloader(root)) == first
        assert len(server.requests) == 1
        assert leftovers(root) == []

    def test_counts_the_bytes_of_a_download_and_of_a_hit(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        item = wanted(BODY, server.serve("/a", BODY, Truncated(1000)))
        for _ in range(2):
            counts: list[int] = []
            store.obtain(item, downloader(root), counts.append)
            assert sum(counts) == len(BODY)

    def test_everybody_may_read_it_whatever_the_umask(self, server: HttpServer, root: Path) -> None:
        before = os.umask(0o077)
        try:
            store = new_store(root)
            path = store.obtain(wanted(BODY, server.serve("/a", BODY)), downloader(root))
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o644
        folders = [path.parent, root, root / "objects"]
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o755] * 3

    def test_many_threads_cause_one_download(self, server: HttpServer, store: ContentStore, root: Path) -> None:
        item = wanted(BODY, server.serve("/a", BODY))
        with ThreadPoolExecutor(8) as pool:
            paths = {
                future.result() for future in [pool.submit(store.obtain, item, downloader(root)) for _ in range(8)]
            }
        assert len(paths) == 1
        assert len(server.requests) == 1

    def test_a_damaged_hit_is_reported_and_fetched_again(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        item = wanted(BODY, server.serve("/a", BODY))
        path = store.obtain(item, downloader(root))
        path.write_bytes(b"?" + BODY[1:])
        sink = Recorded()
        assert store.obtain(item, downloader(root, sink)).read_bytes() == BODY
        assert sink.messages("warning") == [f"a-package 1.0 is damaged in the cache and is fetched again: {path}"]
        assert len(server.requests) == 2

    def test_a_damaged_hit_that_can_not_be_fetched_again_is_gone(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        item = wanted(BODY, server.serve("/a", BODY))
        path = store.obtain(item, downloader(root))
        path.write_bytes(b"?")
        with pytest.raises(RepositoryError) as caught:
            store.obtain(item, downloader(root, offline=True))
        assert caught.value.code == "REPO_OFFLINE"
        assert not path.exists()

    def test_offline_gives_what_is_there_and_names_what_is_not(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        item = wanted(BODY, server.serve("/a", BODY))
        store.obtain(item, downloader(root))
        assert store.obtain(item, downloader(root, offline=True)).exists()
        with pytest.raises(RepositoryError) as caught:
            store.obtain(wanted(b"other", server.url("/b"), name="other 2.0"), downloader(root, offline=True))
        assert caught.value.code == "REPO_OFFLINE"
        assert "other 2.0" in caught.value.message

    def test_what_is_wanted_is_named_by_a_digest_and_an_url(self) -> None:
        for sha256, urls in (("../../etc/passwd", ("http://127.0.0.1/",)), ("a" * 64, ())):
            with pytest.raises(ValueError, match=r"not a SHA-256|no URL"):
                Wanted(sha256, 1, urls, "x", "main")


class TestWrongContent:
    def test_is_fetched_once_more_past_stale_caches(self, server: HttpServer, store: ContentStore, root: Path) -> None:
        stale = content("stale", len(BODY))
        counts: list[int] = []
        sink = Recorded()
        item = wanted(BODY, server.serve("/a", BODY, Content(stale)))
        assert store.obtain(item, downloader(root, sink), counts.append).read_bytes() == BODY
        assert [request.headers["Cache-Control"] for request in server.requests] == [None, "no-cache"]
        assert sum(counts) == len(BODY)
        assert len(sink.messages("warning")) == 1

    def test_is_refused_when_it_stays_wrong(self, server: HttpServer, store: ContentStore, root: Path) -> None:
        other = content("other", len(BODY))
        item = wanted(BODY, server.serve("/a", other))
        counts: list[int] = []
        with pytest.raises(RepositoryError) as caught:
            store.obtain(item, downloader(root), counts.append)
        assert caught.value.code == "REPO_DIGEST_MISMATCH"
        for part in ("repository main", "a-package 1.0", item.sha256, wanted(other).sha256):
            assert part in caught.value.message
        assert len(server.requests) == 2
        assert (leftovers(root), store.usage().files, sum(counts)) == ([], 0, 0)

    def test_is_fetched_again_when_only_our_own_partial_file_was_bad(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        item = wanted(BODY, server.serve("/a", BODY))
        (root / "partial" / item.sha256).write_bytes(b"\0" * 1000)
        assert store.obtain(item, downloader(root)).read_bytes() == BODY
        assert [request.range for request in server.requests] == ["bytes=1000-", None]

    def test_of_another_size_is_fetched_once_more_too(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        item = wanted(BODY, server.serve("/a", BODY, Content(b"<html>welcome to the airport</html>")))
        assert store.obtain(item, downloader(root)).read_bytes() == BODY


class TestMirrors:
    @pytest.mark.parametrize("step", [Status(404), Status(503), Content(b"?"), Truncated(1000)])
    def test_the_next_one_is_taken_whatever_fails(
        self, server: HttpServer, store: ContentStore, root: Path, step: Status | Content | Truncated
    ) -> None:
        bad = server.serve("/bad", BODY, *[step] * 10)
        sink = Recorded()
        item = wanted(BODY, bad, server.serve("/good", BODY))
        counts: list[int] = []
        assert store.obtain(item, downloader(root, sink), counts.append).read_bytes() == BODY
        assert sum(counts) == len(BODY)
        assert sink.messages("warning")[-1].endswith("trying the next mirror")

    def test_the_next_one_goes_on_where_the_last_one_broke(
        self, server: HttpServer, store: ContentStore, root: Path
    ) -> None:
        bad = server.serve("/bad", BODY, Truncated(1000), Status(404))
        store.obtain(wanted(BODY, bad, server.serve("/good", BODY)), downloader(root))
        assert server.requested("/good")[0].range == "bytes=1000-"


class TestDerived:
    def test_is_made_once_for_a_key(self, store: ContentStore) -> None:
        made: list[Path] = []

        def make(path: Path) -> None:
            made.append(path)
            path.write_bytes(BODY)

        first = store.derived("index", KEY, make)
        assert first.read_bytes() == BODY
        assert store.derived("index", KEY, make) == first
        assert len(made) == 1
        store.derived("other-index", KEY, make)
        store.derived("index", "cd" * 32, make)
        assert len(made) == 3

    def test_a_failing_make_leaves_nothing(self, store: ContentStore, root: Path) -> None:
        def fail(path: Path) -> None:
            path.write_bytes(b"half")
            raise RuntimeError("no")

        with pytest.raises(RuntimeError, match="no"):
            store.derived("index", KEY, fail)
        assert (leftovers(root), store.usage().files) == ([], 0)
        assert store.derived("index", KEY, lambda path: path.touch()).read_bytes() == b""

    @pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"?"), Path.unlink])
    def test_a_damaged_one_is_made_again(self, store: ContentStore, damage: object) -> None:
        path = store.derived("index", KEY, lambda path: path.write_bytes(BODY))
        assert callable(damage)
        damage(path)
        again = store.derived("index", KEY, lambda path: path.write_bytes(BODY))
        assert again.read_bytes() == BODY

    def test_what_a_killed_process_left_is_not_taken(self, store: ContentStore, root: Path) -> None:
        (root / "partial" / f"index-{KEY}").write_bytes(b"half")

        def make(path: Path) -> None:
            assert not path.exists()
            path.write_bytes(BODY)

        assert store.derived("index", KEY, make).read_bytes() == BODY

    def test_a_pointer_to_elsewhere_is_not_followed(self, store: ContentStore, root: Path) -> None:
        store.derived("index", KEY, lambda path: path.write_bytes(BODY))
        (root / "derived" / "index" / KEY).write_text("../../../../etc/passwd")
        assert store.derived("index", KEY, lambda path: path.write_bytes(BODY)).read_bytes() == BODY

    @pytest.mark.parametrize(("kind", "key"), [("index", "../x"), ("../index", KEY), ("index", "ab")])
    def test_names_can_not_leave_the_store(self, store: ContentStore, kind: str, key: str) -> None:
        with pytest.raises(ValueError, match="can't name"):
            store.derived(kind, key, Path.touch)

    def test_it_may_obtain_and_derive_other_files(self, server: HttpServer, store: ContentStore, root: Path) -> None:
        item = wanted(BODY, server.serve("/a", BODY))

        def make(path: Path) -> None:
            inner = store.derived("inner", KEY, lambda inner: inner.write_bytes(b"inner"))
            path.write_bytes(inner.read_bytes() + store.obtain(item, downloader(root)).read_bytes())

        assert store.derived("outer", KEY, make).read_bytes() == b"inner" + BODY

    def test_a_disk_that_is_full_while_making_is_explained(self, store: ContentStore, root: Path) -> None:
        def make(path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(StoreError) as caught:
            store.derived("index", KEY, make)
        assert caught.value.code == "STORE_DISK_FULL"
        assert leftovers(root) == []

    def test_a_make_that_misses_its_own_input_fails_with_its_own_error(self, store: ContentStore) -> None:
        with pytest.raises(FileNotFoundError, match="/proc/nonexistent"):
            store.derived("index", KEY, lambda path: path.write_bytes(Path("/proc/nonexistent").read_bytes()))


class TestTrim:
    def fill(self, store: ContentStore, server: HttpServer, *names: str, size: int = MIB) -> list[Path]:
        bodies = {name: content(name, size) for name in names}
        items = [wanted(body, server.serve(f"/{name}", body)) for name, body in bodies.items()]
        return [store.obtain(item, downloader(store.root)) for item in items]

    def test_what_was_unused_for_longest_goes_first(self, server: HttpServer, root: Path) -> None:
        store = new_store(root, 2 * MIB)
        a, b, c = self.fill(store, server, "a", "b", "c")
        self.fill(store, server, "a")  # a hit is a use
        assert store.trim() == Trimmed(1, MIB, 0)
        assert [path.exists() for path in (a, b, c)] == [True, False, True]

    def test_a_store_within_its_size_is_left_alone(self, server: HttpServer, root: Path) -> None:
        store = new_store(root, 3 * MIB)
        self.fill(store, server, "a", "b", "c")
        assert store.trim() == Trimmed(0, 0, 0)
        assert store.usage() == Usage(3, 3 * MIB, 0)

    def test_what_another_build_was_given_stays(self, server: HttpServer, root: Path) -> None:
        other, store = new_store(root), new_store(root, 0)
        (a,) = self.fill(other, server, "a")
        (b,) = self.fill(store, server, "b")
        assert store.trim() == Trimmed(1, MIB, 1)
        assert [a.exists(), b.exists()] == [True, False]

    def test_what_a_build_that_ended_was_given_does_not(self, server: HttpServer, root: Path) -> None:
        self.fill(new_store(root), server, "a")  # nobody holds this store any more
        assert new_store(root, 0).trim() == Trimmed(1, MIB, 0)
        assert sorted(path.name for path in (root / "leases").iterdir()) == ["gate"]

    def test_a_link_elsewhere_survives(self, server: HttpServer, root: Path, tmp_path: Path) -> None:
        store = new_store(root, 0)
        (path,) = self.fill(store, server, "a")
        os.link(path, tmp_path / "a.deb")
        store.trim()
        assert not path.exists()
        assert (tmp_path / "a.deb").read_bytes() == content("a", MIB)

    def test_a_download_under_way_is_left_alone(self, server: HttpServer, root: Path) -> None:
        body = content("slow", MIB)
        item = wanted(body, server.serve("/slow", body, Stalled(1000)))
        busy = new_store(root)
        with ThreadPoolExecutor(1) as pool:
            obtained = pool.submit(busy.obtain, item, downloader(root))
            assert server.stalled.wait(10)
            assert new_store(root).clear().files == 0
            server.release()
            assert obtained.result().read_bytes() == body

    def test_old_partial_files_and_locks_go_too(self, server: HttpServer, root: Path) -> None:
        store = new_store(root)
        self.fill(store, server, "a")
        (root / "partial" / KEY).write_bytes(b"?" * 1000)
        (root / "locks" / KEY).touch()
        assert store.usage() == Usage(1, MIB + 1000, 1000)
        assert store.clear() == Trimmed(2, MIB + 1000, 0)
        assert (leftovers(root), store.usage()) == ([], Usage(0, 0, 0))

    def test_derived_files_are_made_again_after_they_went(self, root: Path) -> None:
        store = new_store(root, 0)
        store.derived("index", KEY, lambda path: path.write_bytes(BODY))
        store.trim()
        assert list((root / "derived").glob("*/*")) == []
        assert store.derived("index", KEY, lambda path: path.write_bytes(BODY)).read_bytes() == BODY


class TestUnusableFolders:
    def test_a_file_in_its_place_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "cache").touch()
        with pytest.raises(StoreError) as caught:
            ContentStore(tmp_path / "cache", MIB)
        assert caught.value.code == "STORE_FAILED"
        assert str(tmp_path / "cache") in caught.value.message

    def test_one_that_can_not_be_written_is_named_with_a_way_out(self) -> None:
        with pytest.raises(StoreError) as caught:
            ContentStore(Path("/proc/self/cache"), MIB)
        assert caught.value.code in {"STORE_UNWRITABLE", "STORE_FAILED"}


def test_a_wait_for_another_build_can_be_given_up(server: HttpServer, root: Path) -> None:
    class EnoughError(Exception):
        pass

    waiting = threading.Event()

    def stop(count: int) -> None:
        waiting.set()
        raise EnoughError

    body = content("slow", MIB)
    item = wanted(body, server.serve("/slow", body, Stalled(1000)))
    busy, store = new_store(root), new_store(root)
    with ThreadPoolExecutor(1) as pool:
        obtained = pool.submit(busy.obtain, item, downloader(root))
        assert server.stalled.wait(10)
        with pytest.raises(EnoughError):
            store.obtain(item, downloader(root), stop)
        server.release()
        obtained.result()
    assert waiting.is_set()
