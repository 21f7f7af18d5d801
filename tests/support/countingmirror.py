"""A mirror of Debian that sends every client on to the real one, and counts what they want."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from image_composer_providers.debian.provider import PROVIDER as DEBIAN
from support.hostmirror import mirrors


class CountingMirror(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True
    block_on_close = False  # a client may keep its connection open

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Handler)
        archives = {fact.archive: fact.url for fact in DEBIAN.manifest("12").repositories}
        self.targets = {**archives, **mirrors(os.environ)}
        self.wanted: Counter[str] = Counter()

    def urls(self) -> dict[str, str]:
        """Give its base URLs by archive."""
        base = f"http://{self.server_address[0]!s}:{self.server_address[1]}"
        return {archive: f"{base}/{archive}" for archive in self.targets}

    def environment(self) -> dict[str, str]:
        """Give the variables by which the composer uses it."""
        names = {archive: archive.upper().replace("-", "_") for archive in self.targets}
        return {f"IMAGE_COMPOSER_MIRROR_{names[archive]}": url for archive, url in self.urls().items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CountingMirror

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
def counting(address: str = "127.0.0.1") -> Iterator[CountingMirror]:
    """Run a mirror."""
    with CountingMirror(address) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
