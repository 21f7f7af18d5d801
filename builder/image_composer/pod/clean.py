"""Removing everything that an ImageBuild has published, when it is deleted and its objects are not to be kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from image_composer.errors import PublishError
from image_composer.publish.patience import Patience
from image_composer.publish.s3_errors import explain
from image_composer.publish.s3_folder import GONE, unfinished_uploads
from image_composer.spec.document import Placement
from image_composer.spec.location import DIGEST_CHARACTERS, build_prefix

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import DeleteObjectsOutputTypeDef

OURS = re.compile(rf"[^/]+-[0-9a-f]{{{DIGEST_CHARACTERS}}}/")
"""How a folder of ours is called. What is called otherwise may be somebody else's, whose prefix begins like ours."""

MISSING = frozenset({"NoSuchBucket"})
SINGLY = frozenset({"NotImplemented", "501", "MethodNotAllowed", "MissingContentMD5", "InvalidRequest"})
"""Codes of servers that don't remove many objects with one request, or want a checksum that nobody sends any more."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, and what was not."""

    objects: int
    uploads: int
    foreign: int
    """Objects that are below the prefix and none of ours."""


def clean(client: S3Client, placement: Placement, patience: Patience) -> Cleaned:
    """Remove all objects and unfinished uploads of an ImageBuild; fine when there are none.

    Raises:
        PublishError: not everything could be removed.
    """
    place = placement.s3
    if not placement.namespace or not placement.name:
        raise ValueError("objects of no ImageBuild are never removed")
    prefix = build_prefix(place, placement.namespace, placement.name)
    try:
        uploads = _abort(client, place.bucket, prefix, patience)
        objects, foreign = _remove(client, placement, prefix, patience)
    except ClientError:
        return Cleaned(0, 0, 0)  # the bucket is gone, and everything with it
    return Cleaned(objects, uploads, foreign)


def _abort(client: S3Client, bucket: str, prefix: str, patience: Patience) -> int:
    found = patience.ask(
        lambda: [*unfinished_uploads(client, bucket, prefix)], "can't list unfinished uploads", answers=MISSING
    )
    ours = [(key, upload) for key, upload in found if OURS.match(key.removeprefix(prefix))]
    for key, upload in ours:
        try:
            patience.ask(
                partial(client.abort_multipart_upload, Bucket=bucket, Key=key, UploadId=upload),
                "can't abort an unfinished upload",
                answers=GONE,
            )
        except ClientError:
            continue
    return len(ours)


def _remove(client: S3Client, placement: Placement, prefix: str, patience: Patience) -> tuple[int, int]:
    """Remove the objects page by page; give how many were, and how many are not ours."""
    bucket = placement.s3.bucket
    removed, foreign, after = 0, 0, ""
    while True:
        listing = partial(client.list_objects_v2, Bucket=bucket, Prefix=prefix, StartAfter=after)
        page = patience.ask(listing, "can't list objects", answers=MISSING)
        keys = [entry["Key"] for entry in page.get("Contents", [])]
        ours = [key for key in keys if OURS.match(key.removeprefix(prefix))]
        if ours:
            _remove_page(client, placement, ours, patience)
        removed, foreign = removed + len(ours), foreign + len(keys) - len(ours)
        if not page["IsTruncated"] or not keys:
            return removed, foreign
        after = keys[-1]


def _remove_page(client: S3Client, placement: Placement, keys: Sequence[str], patience: Patience) -> None:
    bucket, attempt = placement.s3.bucket, "can't remove objects"

    def request() -> DeleteObjectsOutputTypeDef:
        return client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})

    try:
        errors = patience.ask(request, attempt, answers=SINGLY).get("Errors", [])
    except ClientError:
        for key in keys:
            patience.ask(partial(client.delete_object, Bucket=bucket, Key=key), attempt)
        return
    if errors:
        told = {"Error": {"Code": errors[0].get("Code", ""), "Message": errors[0].get("Message", "")}}
        # The stubs' type of a response has no name that can be imported.
        first = explain(ClientError(told, "DeleteObjects"), f"{attempt}, {len(errors)} of them", placement.s3)  # type: ignore[arg-type]
        raise PublishError(first.code, first.message, hint=first.hint, retryable=first.retryable)
