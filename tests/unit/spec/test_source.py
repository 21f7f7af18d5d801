"""Addresses of downloads: in the web, or in a bucket."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_composer.spec.source import SOURCE, Address, address, check_address, in_bucket
from support.specs import bare, problems

FORM = "must be s3://BUCKET/KEY"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://models/a", Address("models", "a")),
        ("s3://my.models-1/a/b.c/..d/...", Address("my.models-1", "a/b.c/..d/...")),
        ("s3://models/a=1&b+c;~%2f'(x)", Address("models", "a=1&b+c;~%2f'(x)")),
    ],
)
def test_an_object_of_a_bucket_is_named_by_bucket_and_key(url: str, expected: Address) -> None:
    assert check_address(url) == url
    assert address(url) == expected


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", FORM),
        ("s3:///a", FORM),
        ("s3://Models/a", FORM),
        ("s3://m/a", FORM),
        ("s3://key:secret@models/a", FORM),
        ("s3://models", f"{FORM}: there is no key after the bucket"),
        ("s3://models/", f"{FORM}: there is no key after the bucket"),
        ("s3://models/a b", "has a key that holds what no address can"),
        ("s3://models/a?versionId=1", "has a key that holds what no address can"),
        ("s3://models/a#b", "has a key that holds what no address can"),
        ("s3://models/\u00e4", "has a key that holds what no address can"),
        ("s3://models/a/", "has a key with an empty segment"),
        ("s3://models//a", "has a key with an empty segment"),
        ("s3://models/./a", "has a key with an empty segment, '.' or '..'"),
        ("s3://models/a/../b", "has a key with an empty segment, '.' or '..'"),
        ("s3://models/..", "has a key with an empty segment, '.' or '..'"),
        ("gs://models/a", "'gs://models/a' does not match"),
        ("S3://models/a", "'S3://models/a' does not match"),
    ],
)
def test_other_addresses_are_refused_with_the_path_of_the_field(url: str, said: str) -> None:
    [found] = problems(bare(files=[{"path": "/a", "content": "a"}, {"path": "/b", "url": url, "sha256": "0" * 64}]))
    assert found.startswith(f"files[1].url: {said}")


@given(st.from_regex(SOURCE, fullmatch=True) | st.text().map("s3://models/{}".format))
@example("s3://models/a/../b")
@example("s3://models/...")
@example("https://example.org/../a")
def test_the_pattern_for_api_servers_says_the_same_as_the_composer(url: str) -> None:
    agreed = False
    with suppress(ValueError):
        agreed = check_address(url) == url and re.fullmatch(r"(https?|s3)://[!-~]+", url) is not None
    assert agreed == (re.fullmatch(SOURCE, url) is not None)


def test_what_is_of_the_web_is_in_no_bucket() -> None:
    assert [in_bucket(url) for url in ("https://s3.example.org/a", "s3://models/a", None)] == [False, True, False]
