"""URLs taken apart, and what servers say in headers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import RepositoryError
from image_composer.store.place import Place, Signed, bypasses_proxy
from image_composer.store.transport import retry_after


@pytest.mark.parametrize(
    ("host", "no_proxy", "expected"),
    [
        ("mirror.example.org", "", False),
        ("mirror.example.org", "example.org", True),
        ("mirror.example.org", ".example.org", True),
        ("mirror.example.org", "localhost, Mirror.Example.org", True),
        ("badexample.org", "example.org", False),
        ("example.org", "mirror.example.org", False),
        ("anything", "*", True),
        ("anything", " , ,", False),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_a_host_is_reached_without_the_proxy_when_listed(host: str, no_proxy: str, expected: bool) -> None:
    assert bypasses_proxy(host, no_proxy) is expected


@pytest.mark.parametrize(
    ("start", "location", "expected"),
    [
        ("http://a.example.org/x/y", "z", "http://a.example.org/x/z"),
        ("http://a.example.org/x/y", "//b.example.org/z", "http://b.example.org/z"),
        ("http://a.example.org/x", "https://a.example.org/x", "https://a.example.org/x"),
        ("https://a.example.org/x", "/y", "https://a.example.org/y"),
        ("https://me:pw@a.example.org/x", "https://a.example.org/y", "https://me:pw@a.example.org/y"),
        ("https://me:pw@a.example.org/x", "https://a.example.org:8443/y", "https://a.example.org:8443/y"),
        ("http://me:pw@a.example.org/x", "https://a.example.org/y", "https://a.example.org/y"),
    ],
)
def test_a_redirect_leads_on_with_the_credentials_of_its_server_only(start: str, location: str, expected: str) -> None:
    assert Place.of(start, "main").redirected(location).parts.geturl() == expected


SIGNED = Signed("https://s3.example.org/models/a?X-Amz-Signature=0123abcd", "PEM")


def test_what_is_signed_is_asked_for_by_an_address_and_told_by_its_name() -> None:
    place = Place.of("s3://models/a", "files[2]").signed(SIGNED)
    assert place.url == SIGNED.url
    assert place.authorities == "PEM"
    assert place.sentence(f"no such {place.url}") == (
        "files[2]: s3://models/a: no such https://s3.example.org/models/a?..."
    )


def test_a_redirect_of_what_is_signed_tells_no_signature_either() -> None:
    place = Place.of("s3://models/a", "files[2]").signed(SIGNED)
    led = place.redirected(SIGNED.url.replace("s3.", "s3.eu."))
    assert led.sentence(led.url) == "files[2]: s3://models/a: https://s3.eu.example.org/models/a?..."
    for location in ("http://s3.example.org/models/a?X-Amz-Signature=4567", "https://[?X-Amz-Signature=4567"):
        with pytest.raises(RepositoryError) as caught:
            place.redirected(location)
        assert "X-Amz-Signature" not in caught.value.message


@given(st.text())
def test_a_redirect_is_followed_to_the_web_or_refused(location: str) -> None:
    with suppress(RepositoryError):
        assert Place.of("https://a.example.org/x", "main").redirected(location).parts.scheme == "https"


@given(
    st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [+-]?\w+\Z"), st.text()
)
def test_a_wait_is_a_number_or_nothing_whatever_a_server_says(asked: str, date: str) -> None:
    for headers in ({"retry-after": asked, "date": date}, {"retry-after": asked, "date": asked}):
        assert isinstance(retry_after(headers), float | None)
