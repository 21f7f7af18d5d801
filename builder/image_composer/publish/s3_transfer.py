"""Moving large files to and from a bucket: many parts at once, in bounded memory, ended at once when told to halt."""

from __future__ import annotations

import hashlib
import io
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from image_composer.publish.patience import HaltedError
from image_composer.publish.s3_folder import GONE, BucketFolder, described
from image_composer.report import Reporter
from image_composer.settings import MIB
from image_composer.threads import Threads

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PART = 16 * MIB
"""Bytes of a part at least: few requests, and several fit in memory. S3 takes 10,000 parts of 5 MiB or more."""

MOST_PARTS = 10_000

AT_ONCE = 8
"""Connections used at once: one connection to a distant server carries 50 to 100 MB/s at most."""

MEMORY = 160 * MIB
"""Bytes of parts in memory at once, beside the 100 MiB of the interpreter and boto3."""

RANGE = 8 * MIB
"""Bytes read back with one request."""

CLEANUP_SECONDS = 5
"""How long an interrupted upload waits for what is on its way. A pod is killed 30 s after it was asked to end."""

REPORT_SECONDS = 0.2
"""How often progress is reported; displays show less than that."""


class Uploads:
    """Sends large files to a folder in parts."""

    def __init__(self, folder: BucketFolder, reporter: Reporter) -> None:
        self._folder, self._reporter = folder, reporter
        self._unfinished: dict[str, str] = {}
        """Keys by id."""
        self._sending: list[Future[str]] = []

    def send(self, name: str, path: Path, *, sha256: str) -> str:
        """Send a file to where there is none, and give its tag.

        Raises:
            ClientError: there is one by now, or the unfinished upload has vanished.
        """
        folder, key, attempt = self._folder, self._folder.key(name), f"can't upload {name}"
        begin = partial(folder.client.create_multipart_upload, Bucket=folder.bucket, Key=key, **described(name, sha256))
        upload = folder.patience.ask(begin, attempt)["UploadId"]
        self._unfinished[upload] = key
        try:
            tags = self._send_parts(name, path, upload)
            parts: Any = {"Parts": [{"ETag": tag, "PartNumber": number} for number, tag in enumerate(tags, 1)]}

            def complete(condition: Mapping[str, Any]) -> str:
                return folder.client.complete_multipart_upload(
                    Bucket=folder.bucket, Key=key, UploadId=upload, MultipartUpload=parts, **condition
                )["ETag"]

            tag = folder.where_absent(complete, attempt, GONE)
        except ClientError:
            folder.abort(key, upload)
            del self._unfinished[upload]
            raise
        del self._unfinished[upload]
        return tag

    def _send_parts(self, name: str, path: Path, upload: str) -> list[str]:
        """Send all parts, and give their tags."""
        folder, size = self._folder, path.stat().st_size
        length, halt = part_size(size), folder.patience.halt
        sent = Counted(size, partial(self._reporter.progress, f"uploading {name}"))

        def send(number: int) -> str:
            with path.open("rb") as stream:
                stream.seek((number - 1) * length)
                content = stream.read(length)

            def request() -> str:
                body = Body(content, halt)
                return folder.client.upload_part(
                    Bucket=folder.bucket, Key=folder.key(name), UploadId=upload, PartNumber=number, Body=body
                )["ETag"]

            tag = folder.patience.ask(request, f"can't upload {name}", answers=GONE)
            sent.add(len(content))
            return tag

        with Threads(max(1, min(AT_ONCE, MEMORY // length))) as threads:
            self._sending = [threads.submit(send, number) for number in range(1, math.ceil(size / length) + 1)]
            try:
                return [future.result() for future in self._sending]
            except BaseException as error:
                if not isinstance(error, ClientError):
                    halt.set()
                for future in self._sending:
                    future.cancel()
                raise

    def abandon(self, client: S3Client) -> None:
        """Leave nothing unfinished, as far as the server lets us; never fails."""
        self._folder.patience.halt.set()
        # What is on its way would be stored after its upload was aborted.
        wait([future for future in self._sending if not future.cancelled()], CLEANUP_SECONDS)
        for upload, key in self._unfinished.items():
            with suppress(BotoCoreError, ClientError, HTTPError, ConnectionError):
                client.abort_multipart_upload(Bucket=self._folder.bucket, Key=key, UploadId=upload)


def digest_of(folder: BucketFolder, name: str, etag: str, size: int, report: Callable[[int, int, str], None]) -> str:
    """Give the SHA-256 of a file as the server sends it.

    Raises:
        ClientError: it was replaced or removed meanwhile.
    """
    seen, digest = Counted(size, report), hashlib.sha256()
    for piece in _pieces(folder, name, etag, size):
        digest.update(piece)
        seen.add(len(piece))
    return digest.hexdigest()


def _pieces(folder: BucketFolder, name: str, etag: str, size: int) -> Iterator[bytes]:
    """Give a file's content in order; several ranges are on their way at once."""
    starts = deque(range(0, size, RANGE))
    coming: deque[Future[bytes]] = deque()
    with Threads(AT_ONCE) as threads:
        while starts or coming:
            while starts and len(coming) < AT_ONCE:
                start = starts.popleft()
                coming.append(threads.submit(folder.read, name, etag, start, min(size, start + RANGE)))
            yield coming.popleft().result()


def part_size(size: int) -> int:
    """Give the bytes of each part of a file: whole MiB, and no more parts than S3 takes."""
    return max(PART, math.ceil(size / MOST_PARTS / MIB) * MIB)


class Body(io.BytesIO):
    """Bytes on their way to a server, which end with an error when told to halt."""

    def __init__(self, content: bytes, halt: threading.Event) -> None:
        super().__init__(content)
        self._halt = halt

    def read(self, size: int | None = -1, /) -> bytes:
        """Give the next bytes."""
        if self._halt.is_set():
            raise HaltedError
        return super().read(size)


class Counted:
    """Adds up what threads have done, and reports it a few times a second."""

    def __init__(self, total: int, report: Callable[[int, int, str], None]) -> None:
        self._total, self._report = total, report
        self._done, self._reported = 0, 0.0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        """Count bytes."""
        with self._lock:
            self._done += size
            done, now = self._done, time.monotonic()
            if now - self._reported < REPORT_SECONDS:
                return
            self._reported = now
        self._report(done, self._total, "bytes")
