"""Two builds at the same time share a cache and nothing else."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from image_composer_providers.debian.provider import PROVIDER as DEBIAN
from support.composer import Composer, events, nothing_left, write_document
from support.distribution import document
from support.hostmirror import mirrors

pytestmark = [pytest.mark.network, pytest.mark.build]


class Counting(ThreadingHTTPServer):
    """Sends every client on to the mirror that it would have used, and counts what they want."""

    daemon_threads = True
    block_on_close = False  # a client may keep its connection open

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        archives = {fact.archive: fact.url for fact in DEBIAN.manifest("12").repositories}
        self.targets = {**archives, **mirrors(os.environ)}
        self.wanted: Counter[str] = Counter()

    def environment(self) -> dict[str, str]:
        base = f"http://127.0.0.1:{self.server_address[1]}"
        names = {archive: archive.upper().replace("-", "_") for archive in self.targets}
        return {f"IMAGE_COMPOSER_MIRROR_{name}": f"{base}/{archive}" for archive, name in names.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def do_GET(self) -> None:
        _, archive, path = self.path.split("/", 2)
        self.server.wanted[path] += 1
        self.send_response(302)
        self.send_header("Location", f"{self.server.targets[archive]}/{path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""


@contextmanager
def counting() -> Iterator[Counting]:
    with Counting() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


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
