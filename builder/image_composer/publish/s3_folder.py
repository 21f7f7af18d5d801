"""A folder of a bucket: looking at what is in it, and the few ways in which it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from image_composer.digest import bytes_sha256
from image_composer.errors import PublishError
from image_composer.evidence.result import RESULT_FILE, BuildResult
from image_composer.publish.patience import Patience
from image_composer.publish.s3_errors import CONFLICT, code_of
from image_composer.settings import MIB
from image_composer.spec.destination import S3Destination
from image_composer.spec.location import object_uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LARGEST_RESULT = MIB
"""Bytes of a result.json that are read."""

ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
"""Codes of an object that is not there."""

TAKEN = frozenset({"PreconditionFailed", "412", "ExistingObjectIsDirectory"})
"""Codes of a condition that doesn't hold. The last is what versitygw says when two put the same object at once."""

UNCONDITIONAL = frozenset({"NotImplemented", "501"})
"""Codes of servers that don't know conditions."""

UNLISTED = frozenset({"AccessDenied", "NotImplemented", "501", "MethodNotAllowed"})
"""Codes of servers that don't list unfinished uploads, and of credentials that may not."""

GONE = frozenset({"NoSuchUpload", "InvalidPart"})
"""Codes of an unfinished upload that was aborted, or is finished. Where it goes while its parts are being joined,
some servers (versitygw) miss a part first."""

CONTENT_TYPES = {
    ".spdx.json": "application/spdx+json",
    ".provenance.json": "application/vnd.in-toto+json",
    ".json": "application/json",
    ".zst": "application/zstd",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    "SHA256SUMS": "text/plain; charset=utf-8",
}
"""By the end of the name."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it is in the bucket."""

    etag: str
    size: int
    sha256: str | None
    """As its publisher says."""

    def is_copy_of(self, size: int, sha256: str) -> bool:
        """Say whether it claims to be a file of this size and digest."""
        return (self.size, self.sha256) == (size, sha256)


@dataclass(frozen=True, slots=True)
class Standing:
    """The result that stands in a folder."""

    result: BuildResult
    sha256: str
    """Of result.json."""

    is_ours: bool = False
    """Whether this run has put it there."""


class BucketFolder:
    """A folder of a bucket, seen through a client and with patience."""

    def __init__(self, client: S3Client, place: S3Destination, folder: str, patience: Patience) -> None:
        self.client, self.place, self.folder, self.patience = client, place, folder, patience
        self.bucket = place.bucket
        self._knows_conditions = True

    @property
    def uri(self) -> str:
        """Its address, with a slash at its end."""
        return object_uri(self.place, self.folder)

    def key(self, name: str) -> str:
        """Give the key of a file."""
        return f"{self.folder}{name}"

    def find(self, name: str) -> Found | None:
        """Give what is known of a file; nothing when it is not there."""
        request = partial(self.client.head_object, Bucket=self.bucket, Key=self.key(name))
        try:
            head = self.patience.ask(request, f"can't look at {name}", answers=ABSENT)
        except ClientError:
            return None
        return Found(head["ETag"], head["ContentLength"], head.get("Metadata", {}).get("sha256"))

    def standing(self) -> Standing | None:
        """Give the result that stands there; nothing when the folder is not complete.

        Raises:
            PublishError: PUBLISH_CONFLICT, what is there is no result of ours.
        """
        request = partial(self._read, RESULT_FILE, most=LARGEST_RESULT)
        try:
            content = self.patience.ask(request, f"can't read {RESULT_FILE}", answers=ABSENT)
        except ClientError:
            return None
        try:
            return Standing(BuildResult.model_validate_json(content), bytes_sha256(content))
        except ValidationError as error:
            raise PublishError(
                CONFLICT,
                f"{self.uri}{RESULT_FILE} is there, but it is no result that this version can read",
                hint="look at it; build.force gives this build a folder of its own",
            ) from error

    def read(self, name: str, etag: str, start: int, end: int) -> bytes:
        """Give a range of a file, if it still is the one with this tag.

        Raises:
            ClientError: it was replaced or removed.
        """
        request = partial(self._read, name, IfMatch=etag, Range=f"bytes={start}-{end - 1}")
        return self.patience.ask(request, f"can't read {name} back", answers=TAKEN | ABSENT)

    def _read(self, name: str, most: int | None = None, **condition: Any) -> bytes:
        with self.client.get_object(Bucket=self.bucket, Key=self.key(name), **condition)["Body"] as body:
            return body.read(most)

    def put(self, name: str, content: Callable[[], Any], *, sha256: str) -> str:
        """Put a small file where there is none, and give its tag.

        Args:
            name: of the file.
            content: gives its content, from the beginning at each call.
            sha256: of the content.

        Raises:
            ClientError: there is one by now.
        """

        def request(condition: Mapping[str, Any]) -> str:
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self.key(name), Body=content(), **described(name, sha256), **condition
            )
            return answer["ETag"]

        return self.where_absent(request, f"can't upload {name}")

    def where_absent(
        self, request: Callable[[Mapping[str, Any]], str], attempt: str, answers: frozenset[str] = frozenset()
    ) -> str:
        """Make a request that holds only where there is no object, as far as the server knows conditions.

        Raises:
            ClientError: there is one by now, or one of `answers`.
        """
        if self._knows_conditions:
            try:
                absent = partial(request, {"IfNoneMatch": "*"})
                return self.patience.ask(absent, attempt, answers=TAKEN | UNCONDITIONAL | answers)
            except ClientError as error:
                if code_of(error) not in UNCONDITIONAL:
                    raise
            self._knows_conditions = False
        return self.patience.ask(partial(request, {}), attempt, answers=answers)

    def remove(self, name: str) -> None:
        """Remove a file; fine when it is not there."""
        request = partial(self.client.delete_object, Bucket=self.bucket, Key=self.key(name))
        self.patience.ask(request, f"can't remove {name}")

    def unfinished(self, prefix: str = "") -> list[tuple[str, str]] | None:
        """Give keys and ids of the unfinished uploads to it; None when the server won't tell.

        Args:
            prefix: of the files' names. Some servers (MinIO) list the uploads of one whole name only.
        """
        request = partial(_unfinished, self.client, self.bucket, self.key(prefix))
        try:
            return self.patience.ask(request, "can't list unfinished uploads", answers=UNLISTED)
        except ClientError:
            return None

    def abort(self, key: str, upload: str) -> None:
        """Abort an unfinished upload; fine when it is gone."""
        request = partial(self.client.abort_multipart_upload, Bucket=self.bucket, Key=key, UploadId=upload)
        try:
            self.patience.ask(request, "can't abort an unfinished upload", answers=GONE)
        except ClientError:
            return


def described(name: str, sha256: str) -> dict[str, Any]:
    """Give what is stored with a file."""
    kind = next((kind for end, kind in CONTENT_TYPES.items() if name.endswith(end)), "application/octet-stream")
    return {"ContentType": kind, "Metadata": {"sha256": sha256}}


def _unfinished(client: S3Client, bucket: str, prefix: str) -> list[tuple[str, str]]:
    return list(unfinished_uploads(client, bucket, prefix))


def unfinished_uploads(client: S3Client, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Give key and id of every unfinished upload below a prefix."""
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", []):
            yield upload["Key"], upload["UploadId"]
