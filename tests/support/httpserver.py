"""A web server on the loopback that behaves, and misbehaves, as a test scripts it."""

from __future__ import annotations

import re
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PIECE = 64 * 1024
"""Bytes written at once."""


@dataclass(frozen=True)
class Status:
    """Answer with a status and no file."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Redirect:
    """Send the client elsewhere."""

    location: str
    code: int = 302


@dataclass(frozen=True)
class Truncated:
    """Close the connection after some bytes of the answer."""

    after: int


@dataclass(frozen=True)
class Stalled:
    """Send some bytes of the answer and then nothing until the server ends or `release` is called."""

    after: int


@dataclass(frozen=True)
class Content:
    """Send something else than the file."""

    body: bytes


@dataclass(frozen=True)
class Chunked:
    """Send the file in chunks, without saying how long it is."""


Step = Status | Redirect | Truncated | Stalled | Content | Chunked


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    headers: Message

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class HttpServer:
    """Serves `files` by path; use it in a `with` statement.

    Args:
        ranges: whether requests for a part of a file are honoured.
        tls: makes it an https server.
    """

    def __init__(self, *, ranges: bool = True, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.ranges = ranges
        self.stalled = threading.Event()
        """Set once an answer has stalled."""
        self._released = threading.Event()
        self._steps: dict[str, deque[Step]] = defaultdict(deque)
        self._scheme = "https" if tls else "http"
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def url(self, path: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}{path}"

    def serve(self, path: str, content: bytes, *steps: Step) -> str:
        """Add a file, say how the next requests for it are answered instead, and give its URL."""
        self.files[path] = content
        self._steps[path].extend(steps)
        return self.url(path)

    def requested(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def release(self) -> None:
        """Let stalled answers go on."""
        self._released.set()

    def __enter__(self) -> HttpServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may keep its connection open
    request_queue_size = 64
    owner: HttpServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.requests.append(Request(self.path, self.headers))
        steps = owner._steps[self.path]
        step = steps.popleft() if steps else None
        match step:
            case Status(code, headers):
                self._head(code, {"Content-Length": "0", **headers})
            case Redirect(location, code):
                self._head(code, {"Content-Length": "0", "Location": location})
            case Content(body):
                self._send(body, None)
            case _ if self.path in owner.files:
                self._send(owner.files[self.path], step)
            case _:
                self._head(404, {"Content-Length": "0"})

    def _send(self, content: bytes, step: Step | None) -> None:
        start = self._start()
        if start and start >= len(content):
            self._head(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(content)}"})
            return
        body = memoryview(content)[start:]
        if isinstance(step, Chunked):
            self._head(200, {"Transfer-Encoding": "chunked"})
            for at in range(0, len(body), PIECE):
                piece = body[at : at + PIECE]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
            self.wfile.write(b"0\r\n\r\n")
            return
        headers = {"Content-Length": str(len(body))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(206 if start else 200, headers)
        self._body(body, step)

    def _body(self, body: memoryview, step: Step | None) -> None:
        match step:
            case Truncated(after):
                self.wfile.write(body[:after])
                self.close_connection = True
            case Stalled(after):
                self.wfile.write(body[:after])
                self.server.owner.stalled.set()
                self.server.owner._released.wait()
                self.wfile.write(body[after:])
            case _:
                self.wfile.write(body)

    def _start(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found and self.server.owner.ranges else 0

    def _head(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(code)  # without a Date of its own, which a test may want to set
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: tests look at `requests`."""
