"""A bucket of a real S3 server, and a proxy before it that behaves and misbehaves as a test scripts it."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from image_composer.digest import bytes_sha256
from image_composer.settings import Settings
from image_composer.spec.destination import S3Destination
from support.cluster import S3Server
from support.cluster.tools import build

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET = "images"
FOLDER = "edge/default/edge/1.0-0123456789ab/"


@cache
def versitygw() -> Path:
    """Give the server's program; the first time on a machine it is built, which takes a minute."""
    if shutil.which("go") is None:
        pytest.skip("the S3 server is built with Go 1.26 or newer, which is not on PATH")
    return build("versitygw") / "versitygw"


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server, and how the composer gets at it."""

    server: S3Server
    name: str
    credentials: Path
    endpoint: str = ""
    ca_bundle: str | None = None

    @classmethod
    def of(cls, server: S3Server, name: str, folder: Path) -> Bucket:
        """Make a bucket.

        Args:
            server: where.
            name: its name.
            folder: for the credentials, as a Secret is mounted.
        """
        server.client().create_bucket(Bucket=name)
        credentials = folder / "credentials"
        credentials.mkdir()
        (credentials / "AWS_ACCESS_KEY_ID").write_text(server.access_key)
        (credentials / "AWS_SECRET_ACCESS_KEY").write_text(f"{server.secret_key}\n")
        bundle = server.ca_bundle.read_text() if server.ca_bundle else None
        return cls(server, name, credentials, server.endpoint, bundle)

    @property
    def client(self) -> S3Client:
        return self.server.client()

    @property
    def place(self) -> S3Destination:
        return S3Destination(bucket=self.name, prefix="edge", endpoint=self.endpoint, ca_bundle=self.ca_bundle)

    def settings(self, **changes: Any) -> Settings:
        given = {"cache_dir": Path("/proc/nonexistent"), "s3_credentials": self.credentials, "publish_patience": 30.0}
        return Settings(**{**given, **changes})

    def document(self, **spec: Any) -> dict[str, Any]:
        """Give an ImageBuild that goes to this bucket."""
        destination = self.place.model_dump(mode="json", by_alias=True, exclude_none=True)
        image = {"name": "edge", "version": "1.0", "target": {"distribution": "debian", "release": "12"}}
        return {
            "apiVersion": "imagecomposer.dev/v1alpha1",
            "kind": "ImageBuild",
            "metadata": {"name": "edge"},
            "spec": {"image": image, "destination": {"s3": destination}, **spec},
        }

    def environment(self, **changes: str) -> dict[str, str]:
        """Give the composer's environment, as in a pod."""
        return {
            "IMAGE_COMPOSER_S3_CREDENTIALS": str(self.credentials),
            "IMAGE_COMPOSER_FOLDER": FOLDER,
            "IMAGE_COMPOSER_PUBLISH_PATIENCE": "30",
            **changes,
        }

    def listing(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [entry["Key"] for entry in listed]

    def digests(self, folder: str = FOLDER) -> dict[str, str]:
        """Give what is in a folder by name: the digest of the content."""
        return {
            key.removeprefix(folder): bytes_sha256(self.read(key)) for key in self.listing() if key.startswith(folder)
        }

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read(f"{FOLDER}result.json"))
        return found

    def put(self, key: str, content: bytes = b"x", **described: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content, **described)

    def begin(self, key: str) -> str:
        """Leave an upload unfinished, with a part of it."""
        upload = self.client.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"]
        self.client.upload_part(Bucket=self.name, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * (5 << 20))
        return upload

    def unfinished(self) -> list[str]:
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [upload["Key"] for upload in uploads]


@dataclass
class Proxy:
    """Hands on to a server, one request after the other, what clients send; use it in a `with` statement."""

    target: tuple[str, int]
    edit: Callable[[bytes], bytes] = bytes
    """Changes bytes of answers, of which it must leave the number."""

    lose: Callable[[str], bool] = lambda _: False
    """Says whether the answer to a request (its first line) is lost: the server has acted, the client is cut off."""

    refuse: Callable[[str], str | None] = lambda _: None
    """Gives an answer to a request (its first line) that the server never sees."""

    requests: list[str] = field(default_factory=list)
    """First lines of the requests, in order."""

    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def names(self, *methods: str) -> list[str]:
        """Give the names of files that these methods were about, in order, each once in a row."""
        found: list[str] = []
        for line in self.requests:
            method, url, _ = line.split(" ")
            name = unquote(urlsplit(url).path).rpartition("/")[2]
            if method in methods and name not in found[-1:]:
                found.append(name)
        return found

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), client.makefile("rb") as incoming:
            while line := incoming.readline():
                first = line.decode().strip()
                head, length = [line], 0
                while (header := incoming.readline()) not in (b"\r\n", b""):
                    head.append(header)
                    name, _, value = header.decode().partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                self.requests.append(first)
                body = self._body(client, incoming, head, length)
                said = self.refuse(first)
                if said is not None:
                    client.sendall(said.encode())
                    continue
                if not self._answer(client, first, b"".join([*head, b"\r\n"]) + body):
                    return

    def _body(self, client: socket.socket, incoming: Any, head: list[bytes], length: int) -> bytes:
        for expectation in [line for line in head if line.lower().startswith(b"expect:")]:
            head.remove(expectation)
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return bytes(incoming.read(length))

    def _answer(self, client: socket.socket, first: str, request: bytes) -> bool:
        """Ask the server and hand its answer on; say whether the connection goes on."""
        head, _, rest = request.partition(b"\r\n")
        with socket.create_connection(self.target) as server:
            server.sendall(head + b"\r\nConnection: close\r\n" + rest)
            answer = b"".join(iter(lambda: server.recv(1 << 20), b""))
        if self.lose(first):
            return False
        client.sendall(self.edit(answer))
        return b"\r\nconnection: close" not in answer.partition(b"\r\n\r\n")[0].lower()
