"""Where a document's downloads come from: an address of the web, or an object in a bucket."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, StringConstraints

SCHEME = "s3://"

BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
"""A bucket's name as S3 accepts it."""

SEGMENT = r"""(\.{0,2}[!-"\x24-\-0->@-~][!-"\x24-.0->@-~]*|\.{3,}[!-"\x24-.0->@-~]*)"""
"""A segment of a key: printable ASCII without `#`, `/` and `?`, and neither `.` nor `..`, which clients take away."""

SOURCE = rf"^(https?://[!-~]+|s3://{BUCKET}(/{SEGMENT})+)$"
"""The form of all addresses, as one pattern: for API servers, which have no other way to say it."""


class Address(NamedTuple):
    """An object in a bucket."""

    bucket: str
    key: str


def in_bucket(url: str | None) -> bool:
    """Say whether a url is that of an object in a bucket."""
    return url is not None and url.startswith(SCHEME)


def address(url: str) -> Address:
    """Give the bucket and the key of an s3:// url."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    return Address(bucket, key)


def check_address(url: object) -> object:
    """Give a url back; one of a bucket that will not do is refused in a sentence, which says more than a pattern.

    Raises:
        ValueError: with the sentence for the user.
    """
    if not isinstance(url, str) or not in_bucket(url):
        return url
    bucket, key = address(url)
    if re.fullmatch(BUCKET, bucket) is None:
        raise ValueError("must be s3://BUCKET/KEY, with a bucket's name of small letters, digits, dots and dashes")
    if not key:
        raise ValueError("must be s3://BUCKET/KEY: there is no key after the bucket")
    if re.fullmatch(r"[!-~]+", key) is None or {"?", "#"} & {*key}:
        raise ValueError("has a key that holds what no address can: white space, '?', '#' or what is not ASCII")
    if {"", ".", ".."} & {*key.split("/")}:
        raise ValueError("has a key with an empty segment, '.' or '..' between slashes")
    return url


SourceUrl = Annotated[
    str,
    StringConstraints(pattern=r"^(https?|s3)://[!-~]+$", max_length=2008),
    BeforeValidator(check_address),
]
"""Address of a file, in the web or `s3://BUCKET/KEY`; what comes from it counts only with the digest given beside."""
