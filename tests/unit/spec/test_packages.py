"""The words by which packages are asked for."""

from __future__ import annotations

import pytest

from image_composer.spec.packages import RequestedPackage, check_package_request, parse_package_request


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("curl", "curl", None),
        ("libstdc++6", "libstdc++6", None),
        ("curl=7.88.1-10+deb12u8", "curl", "7.88.1-10+deb12u8"),
        ("bind9=1:9.18~rc1", "bind9", "1:9.18~rc1"),
        ("7zip", "7zip", None),
    ],
)
def test_a_request_is_a_name_with_or_without_a_version(text: str, name: str, version: str | None) -> None:
    assert parse_package_request(check_package_request(text)) == RequestedPackage(name, version)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lib*", "has a wildcard"),
        ("lib?", "has a wildcard"),
        ("lib[ab]", "has a wildcard"),
        ("curl>=7", "ranges are not supported"),
        ("curl (>= 7)", "ranges are not supported"),
        ("curl ~= 7", "ranges are not supported"),
        ("curl vim", "ranges are not supported"),
        ("curl\n", "ranges are not supported"),
        ("curl=", "is not a package"),
        ("=1", "is not a package"),
        ("-f", "is not a package"),
        ("../x", "is not a package"),
        ("curl:amd64", "is not a package"),
        ("curl=1=2", "is not a package"),
        ("", "is not a package"),
    ],
)
def test_other_requests_are_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_package_request(text)
