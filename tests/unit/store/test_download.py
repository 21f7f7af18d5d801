"""The downloader against a server that misbehaves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import RepositoryError
from image_composer.report import Reporter
from image_composer.settings import Settings
from image_composer.store.download import LONGEST_PAUSE, Downloader, pause_after
from support import packages
from support.events import Recorded
from support.httpserver import Chunked, Content, HttpServer, Redirect, Stalled, Status, Truncated

BODY = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "partial"


@pytest.fixture
def downloader(tmp_path: Path, pauses: list[float]) -> Downloader:
    return make_downloader(tmp_path, pauses.append)


def make_downloader(cache: Path, pause: Callable[[float], None] = lambda _: None, **settings: Any) -> Downloader:
    return packages.downloader(cache, pause=pause, retries=3, **settings)


def download(downloader: Downloader, url: str, partial: Path, size: int = len(BODY), **more: Any) -> str:
    arguments: dict[str, Any] = {"name": "a-package", "repository": "main", "advance": lambda _: None, **more}
    return downloader.download(url, partial, size=size, **arguments)


def ranges(server: HttpServer, path: str) -> list[str | None]:
    return [request.range for request in server.requested(path)]


class TestDownload:
    def test_gives_the_digest_of_what_it_wrote(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        assert download(downloader, server.serve("/a", BODY), partial) == SHA256
        assert partial.read_bytes() == BODY

    def test_takes_an_answer_of_unknown_length(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        assert download(downloader, server.serve("/a", BODY, Chunked()), partial) == SHA256

    def test_takes_an_empty_file(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        assert download(downloader, server.serve("/a", b""), partial, 0) == hashlib.sha256(b"").hexdigest()

    def test_resumes_where_an_earlier_process_ended(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        partial.write_bytes(BODY[:1000])
        assert download(downloader, server.serve("/a", BODY), partial) == SHA256
        assert ranges(server, "/a") == ["bytes=1000-"]

    def test_resumes_where_the_connection_broke(
        self, server: HttpServer, downloader: Downloader, partial: Path, pauses: list[float]
    ) -> None:
        url = server.serve("/a", BODY, Truncated(700_000), Truncated(1000))
        assert download(downloader, url, partial) == SHA256
        assert ranges(server, "/a") == [None, "bytes=700000-", "bytes=701000-"]
        assert pauses == [1, 2]

    def test_starts_over_when_the_server_can_not_resume(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        server.ranges = False
        partial.write_bytes(b"?" * 1000)
        assert download(downloader, server.serve("/a", BODY), partial) == SHA256
        assert partial.read_bytes() == BODY

    def test_starts_over_when_the_server_refuses_the_range(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        partial.write_bytes(BODY[:1000])
        assert download(downloader, server.serve("/a", BODY, Status(416)), partial) == SHA256
        assert ranges(server, "/a") == ["bytes=1000-", None]

    def test_starts_over_when_the_server_sends_another_range(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        partial.write_bytes(BODY[:1000])
        other = Status(206, {"Content-Range": f"bytes 500-{len(BODY) - 1}/{len(BODY)}"})
        assert download(downloader, server.serve("/a", BODY, other), partial) == SHA256

    def test_asks_for_nothing_when_all_is_there(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        partial.write_bytes(BODY)
        assert download(downloader, server.serve("/a", BODY), partial) == SHA256
        assert server.requests == []

    def test_starts_over_when_more_than_all_is_there(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        partial.write_bytes(BODY + b"?")
        assert download(downloader, server.serve("/a", BODY), partial) == SHA256
        assert ranges(server, "/a") == [None]

    def test_asks_caches_on_the_way_for_a_fresh_copy_when_told_so(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        partial.write_bytes(BODY[:1000])
        assert download(downloader, server.serve("/a", BODY), partial, fresh=True) == SHA256
        (request,) = server.requests
        assert (request.range, request.headers["Cache-Control"]) == (None, "no-cache")

    @pytest.mark.parametrize("step", [None, Chunked()])
    def test_never_writes_more_than_the_size(
        self, server: HttpServer, downloader: Downloader, partial: Path, step: Chunked | None
    ) -> None:
        url = server.serve("/a", BODY, *([step] if step else []))
        with pytest.raises(RepositoryError) as caught:
            download(downloader, url, partial, 1000)
        assert caught.value.code == "REPO_SIZE_MISMATCH"
        assert partial.stat().st_size <= 1000

    def test_refuses_a_file_that_is_too_short_without_trying_again(
        self, server: HttpServer, downloader: Downloader, partial: Path, pauses: list[float]
    ) -> None:
        with pytest.raises(RepositoryError) as caught:
            download(downloader, server.serve("/a", BODY, Content(b"<html>")), partial)
        assert caught.value.code == "REPO_SIZE_MISMATCH"
        assert "6 bytes" in caught.value.message
        assert pauses == []

    @pytest.mark.parametrize("ranged", [True, False])
    def test_the_reported_bytes_add_up_whatever_happens(
        self, server: HttpServer, downloader: Downloader, partial: Path, ranged: bool
    ) -> None:
        server.ranges = ranged
        partial.write_bytes(BODY[:5000])
        counts: list[int] = []
        url = server.serve("/a", BODY, Truncated(300_000), Status(503), Truncated(100))
        download(downloader, url, partial, advance=counts.append)
        assert sum(counts) == len(BODY)

    def test_the_reported_bytes_are_taken_back_when_it_fails(
        self, server: HttpServer, downloader: Downloader, partial: Path
    ) -> None:
        counts: list[int] = []
        url = server.serve("/a", BODY, Truncated(300_000), Status(404))
        with pytest.raises(RepositoryError):
            download(downloader, url, partial, advance=counts.append)
        assert max(counts) > 0
        assert sum(counts) == 0

    def test_what_advance_raises_ends_it(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        class EnoughError(Exception):
            pass

        def stop(count: int) -> None:
            if count:
                raise EnoughError

        with pytest.raises(EnoughError):
            download(downloader, server.serve("/a", BODY), partial, advance=stop)


class TestTryingAgain:
    @pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
    def test_a_passing_failure_is_tried_again(
        self, server: HttpServer, downloader: Downloader, partial: Path, pauses: list[float], code: int
    ) -> None:
        assert download(downloader, server.serve("/a", BODY, Status(code), Status(code)), partial) == SHA256
        assert pauses == [1, 2]

    def test_it_is_given_up_after_the_retries_of_the_settings(
        self, server: HttpServer, downloader: Downloader, partial: Path, pauses: list[float]
    ) -> None:
        url = server.serve("/a", BODY, *[Status(503)] * 10)
        with pytest.raises(RepositoryError) as caught:
            download(downloader, url, partial)
        assert caught.value.code == "REPO_UNREACHABLE"
        assert caught.value.retryable
        assert url in caught.value.message
        assert "repository main" in caught.value.message
        assert (len(server.requests), pauses) == (4, [1, 2, 4])

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (400, "REPO_REFUSED"),
            (401, "REPO_FORBIDDEN"),
            (403, "REPO_FORBIDDEN"),
            (404, "REPO_NOT_FOUND"),
            (407, "REPO_FORBIDDEN"),
            (410, "REPO_NOT_FOUND"),
            (204, "REPO_REFUSED"),
            (206, "REPO_REFUSED"),
            (304, "REPO_REFUSED"),
        ],
    )
    def test_a_lasting_failure_is_not(
        self, server: HttpServer, downloader: Downloader, partial: Path, code: int, expected: str
    ) -> None:
        with pytest.raises(RepositoryError) as caught:
            download(downloader, server.serve("/a", BODY, *[Status(code)] * 2), partial)
        assert (caught.value.code, caught.value.retryable) == (expected, False)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "7"}, 7),
            ({"Retry-After": "0"}, 1),
            ({"Retry-After": "86400"}, LONGEST_PAUSE),
            ({"Retry-After": "soon"}, 1),
            ({"Retry-After": "-5"}, 1),
            ({"Retry-After": "Fri, 02 Jan 2026 10:00:09 GMT", "Date": "Fri, 02 Jan 2026 10:00:00 GMT"}, 9),
        ],
    )
    def test_the_server_says_how_long_to_wait_within_bounds(
        self,
        server: HttpServer,
        downloader: Downloader,
        partial: Path,
        pauses: list[float],
        headers: dict[str, str],
        seconds: float,
    ) -> None:
        download(downloader, server.serve("/a", BODY, Status(503, headers)), partial)
        assert pauses == [seconds]

    def test_a_server_that_hangs_is_left_after_the_timeout(
        self, server: HttpServer, tmp_path: Path, partial: Path
    ) -> None:
        downloader = make_downloader(tmp_path, timeout=0.1)
        url = server.serve("/a", BODY, Stalled(1000))
        assert download(downloader, url, partial) == SHA256
        assert ranges(server, "/a") == [None, "bytes=1000-"]

    def test_a_closed_port_is_tried_again_and_named(
        self, tmp_path: Path, partial: Path, pauses: list[float], downloader: Downloader
    ) -> None:
        with pytest.raises(RepositoryError) as caught:
            download(downloader, "http://127.0.0.1:9/a", partial)
        assert caught.value.code == "REPO_UNREACHABLE"
        assert caught.value.message == "repository main: http://127.0.0.1:9/a: no connection: Connection refused"
        assert len(pauses) == 3

    def test_a_try_that_failed_is_reported(self, server: HttpServer, tmp_path: Path, partial: Path) -> None:
        sink = Recorded()
        downloader = Downloader(Settings(cache_dir=tmp_path), Reporter(sink), pause=lambda _: None)
        download(downloader, server.serve("/a", BODY, Status(503)), partial)
        (message,) = sink.messages("info")
        assert message.endswith("the server answered 503 Service Unavailable; trying again in 1 s")

    def test_pauses_grow_to_a_bound(self) -> None:
        assert [pause_after(number) for number in (1, 2, 3, 4, 7, 2000)] == [1, 2, 4, 8, 60, 60]


class TestRead:
    def test_gives_the_content(self, server: HttpServer, downloader: Downloader) -> None:
        url = server.serve("/InRelease", b"Origin: Test", Status(503), Truncated(3))
        assert downloader.read(url, limit=100, repository="main") == b"Origin: Test"

    def test_makes_caches_on_the_way_ask_for_what_is_current(self, server: HttpServer, downloader: Downloader) -> None:
        downloader.read(server.serve("/InRelease", b"x"), limit=100, repository="main")
        assert server.requests[0].headers["Cache-Control"] == "max-age=0"

    @pytest.mark.parametrize("step", [None, Chunked()])
    def test_stops_at_the_limit(self, server: HttpServer, downloader: Downloader, step: Chunked | None) -> None:
        url = server.serve("/InRelease", BODY, *([step] if step else []))
        with pytest.raises(RepositoryError) as caught:
            downloader.read(url, limit=len(BODY) - 1, repository="main")
        assert caught.value.code == "REPO_TOO_LARGE"

    def test_content_is_not_decoded_though_the_server_says_it_is_encoded(
        self, server: HttpServer, downloader: Downloader
    ) -> None:
        url = server.serve("/Packages.gz", b"\x1f\x8b not gzip at all")
        assert downloader.read(url, limit=100, repository="main") == b"\x1f\x8b not gzip at all"

    def test_offline_says_what_is_missing(self, server: HttpServer, tmp_path: Path) -> None:
        downloader = make_downloader(tmp_path, offline=True)
        with pytest.raises(RepositoryError) as caught:
            downloader.read(server.serve("/InRelease", b"x"), limit=100, repository="main")
        assert caught.value.code == "REPO_OFFLINE"
        assert "/InRelease" in caught.value.message
        assert server.requests == []


class TestFileUrls:
    def test_a_local_mirror_needs_no_network(self, tmp_path: Path, partial: Path) -> None:
        (tmp_path / "a +~%.deb").write_bytes(BODY)
        downloader = make_downloader(tmp_path, offline=True)
        url = (tmp_path / "a +~%.deb").as_uri()
        assert download(downloader, url, partial) == SHA256
        assert downloader.read(url, limit=len(BODY), repository="main") == BODY

    def test_a_local_file_is_resumed_too(self, tmp_path: Path, partial: Path) -> None:
        (tmp_path / "a.deb").write_bytes(BODY)
        partial.write_bytes(BODY[:1000])
        assert download(make_downloader(tmp_path), (tmp_path / "a.deb").as_uri(), partial) == SHA256

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("file:///proc/nonexistent/a.deb", "REPO_NOT_FOUND"),
            ("file:///dev/null/a.deb", "REPO_NOT_FOUND"),
            ("file:///dev", "REPO_NOT_FOUND"),
            ("file://elsewhere.example.org/a.deb", "REPO_URL_INVALID"),
            ("http://[::1/a.deb", "REPO_URL_INVALID"),
            ("http://127.0.0.1:99999/a.deb", "REPO_URL_INVALID"),
            ("http:///a.deb", "REPO_URL_INVALID"),
            ("ftp://127.0.0.1/a.deb", "REPO_URL_INVALID"),
        ],
    )
    def test_a_url_that_leads_nowhere_is_named(
        self, downloader: Downloader, partial: Path, pauses: list[float], url: str, code: str
    ) -> None:
        with pytest.raises(RepositoryError) as caught:
            download(downloader, url, partial)
        assert caught.value.code == code
        assert pauses == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read_is_forbidden(
        self, tmp_path: Path, downloader: Downloader, partial: Path
    ) -> None:
        (tmp_path / "a.deb").write_bytes(BODY)
        (tmp_path / "a.deb").chmod(0)
        with pytest.raises(RepositoryError) as caught:
            download(downloader, (tmp_path / "a.deb").as_uri(), partial)
        assert caught.value.code == "REPO_FORBIDDEN"


class TestRedirects:
    def test_they_are_followed_with_the_range(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        server.serve("/b", BODY)
        partial.write_bytes(BODY[:1000])
        url = server.serve("/a", b"", Redirect("b", 301))
        assert download(downloader, url, partial) == SHA256
        assert ranges(server, "/b") == ["bytes=1000-"]

    def test_a_loop_ends(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        url = server.serve("/a", b"", *[Redirect("/a")] * 50)
        with pytest.raises(RepositoryError) as caught:
            download(downloader, url, partial)
        assert caught.value.code == "REPO_REDIRECT_REFUSED"
        assert len(server.requests) == 8

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a"])
    def test_they_do_not_leave_the_web(
        self, server: HttpServer, downloader: Downloader, partial: Path, target: str
    ) -> None:
        with pytest.raises(RepositoryError) as caught:
            download(downloader, server.serve("/a", b"", Redirect(target)), partial)
        assert caught.value.code == "REPO_REDIRECT_REFUSED"


class TestCredentials:
    def test_they_are_sent_but_not_shown(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        url = server.serve("/a", BODY, Status(404)).replace("://", "://me:s%40cret@")
        with pytest.raises(RepositoryError) as caught:
            download(downloader, url, partial)
        assert server.requests[0].headers["Authorization"] == "Basic bWU6c0BjcmV0"
        assert "cret" not in caught.value.message

    def test_they_stay_with_their_server(self, server: HttpServer, downloader: Downloader, partial: Path) -> None:
        with HttpServer() as other:
            other.serve("/c", BODY)
            server.serve("/b", b"", Redirect(other.url("/c")))
            url = server.serve("/a", b"", Redirect(server.url("/b"))).replace("://", "://me:secret@")
            download(downloader, url, partial)
            assert "Authorization" in server.requested("/b")[0].headers
            assert "Authorization" not in other.requested("/c")[0].headers


class TestProxies:
    def test_what_the_settings_name_is_used(self, server: HttpServer, tmp_path: Path, partial: Path) -> None:
        server.serve("http://mirror.example.org/a", BODY)
        proxy = server.url("").replace("://", "://me:secret@")
        downloader = make_downloader(tmp_path, proxies={"http": proxy})
        assert download(downloader, "http://mirror.example.org/a", partial) == SHA256
        assert server.requests[0].headers["Proxy-Authorization"] == "Basic bWU6c2VjcmV0"

    def test_hosts_without_a_proxy_are_reached_directly(
        self, server: HttpServer, tmp_path: Path, partial: Path
    ) -> None:
        proxies = {"http": "http://127.0.0.1:9"}
        downloader = make_downloader(tmp_path, proxies=proxies, no_proxy="example.org,127.0.0.1")
        assert download(downloader, server.serve("/a", BODY), partial) == SHA256

    def test_a_proxy_of_an_unknown_kind_is_refused(self, tmp_path: Path, partial: Path) -> None:
        downloader = make_downloader(tmp_path, proxies={"http": "socks5://127.0.0.1:9"})
        with pytest.raises(RepositoryError) as caught:
            download(downloader, "http://mirror.example.org/a", partial)
        assert caught.value.code == "REPO_URL_INVALID"
