"""The models of the spec: what is written is what was read, in camelCase, with defaults filled in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from image_composer.digest import json_sha256
from image_composer.spec.base import format_size, parse_size
from image_composer.spec.image import ImageSpec
from support.specs import ED25519_KEY, MINIMAL, PARTITIONS, SHA512_HASH, bare, image_spec, read


def words(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


NAMES = words(r"[a-z][a-z0-9-]{0,8}")
USERS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "passwordHash": st.just(SHA512_HASH),
        "sshAuthorizedKeys": st.lists(st.just(ED25519_KEY), max_size=2),
        "groups": st.lists(NAMES, max_size=3),
        "uid": st.integers(1000, 59999),
        "shell": words(r"/[a-z]{1,5}(/[a-z.]{3,5})?"),
        "home": words(r"/[a-z]{1,5}(/[a-z.]{3,5})?"),
        "sudo": st.sampled_from(["none", "passwordless"]),
    },
)
SPECS = st.fixed_dictionaries(
    {
        "name": words(r"[a-z0-9]([a-z0-9.-]{0,5}[a-z0-9])?"),
        "version": words(r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,8}"),
        "target": st.fixed_dictionaries(
            {"distribution": NAMES, "release": words(r"[a-z0-9][a-z0-9.-]{0,5}")},
            optional={"architecture": st.sampled_from(["x86_64", "aarch64"])},
        ),
    },
    optional={
        "packages": st.lists(words(r"[a-z]{1,9}(=[0-9]:[0-9.]{1,5}~b)?"), max_size=4, unique_by=lambda text: text[0]),
        "excludePackages": st.lists(words(r"[0-9][a-z0-9+._-]{0,5}"), max_size=3),
        "installRecommends": st.booleans(),
        "kernel": st.fixed_dictionaries(
            {}, optional={"package": NAMES, "version": st.just("6.*"), "commandLine": st.lists(words("quiet|a=b c"))}
        ),
        "mirrors": st.dictionaries(NAMES, words(r"https?://[!-~]{1,9}"), max_size=3),
        "hostname": words(r"[a-z0-9]{1,9}(\.[a-z0-9]{1,9})?"),
        "users": st.lists(USERS, max_size=3, unique_by=(lambda user: user["name"], lambda user: user.get("uid"))),
        "disk": st.fixed_dictionaries(
            {}, optional={"size": words("[1-9][0-9]{0,3}(KiB|MiB|GiB|TiB)"), "partitions": st.just(PARTITIONS)}
        ),
        "outputs": st.sampled_from([[{"format": "raw"}], [{"format": "raw", "compression": "zstd"}]]),
        "sourceDateEpoch": st.integers(315532800, 4102444800),
    },
)


@given(SPECS)
def test_what_is_written_of_a_spec_reads_as_the_same_spec(document: dict[str, Any]) -> None:
    spec = ImageSpec.model_validate(document)
    again = ImageSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert json_sha256(again.model_dump(mode="json")) == json_sha256(spec.model_dump(mode="json"))


@given(SPECS)
def test_what_a_user_wrote_stands_in_what_is_written(document: dict[str, Any]) -> None:
    assert_holds(ImageSpec.model_validate(document).model_dump(mode="json"), document)


def assert_holds(whole: Any, part: Any) -> None:
    if isinstance(part, dict):
        for key, value in part.items():
            assert_holds(whole[key], value)
    elif isinstance(part, list):
        for one, other in zip(whole, part, strict=True):
            assert_holds(one, other)
    else:
        assert whole == part


def test_defaults_are_filled_in() -> None:
    written = image_spec(users=[{"name": "me"}]).model_dump(mode="json")
    assert written["target"]["architecture"] == "x86_64"
    assert written["outputs"] == [{"format": "raw", "compression": "none"}]
    assert written["users"][0]["sudo"] == "none"
    assert (written["installRecommends"], written["mutability"], written["hostname"]) == (False, "mutable", None)


def test_a_spec_does_not_change_once_read() -> None:
    with pytest.raises(ValidationError):
        image_spec().name = "other"  # type: ignore[misc]  # that it can't be done is what is tested


def test_fields_may_be_null_where_they_may_be_absent() -> None:
    assert read(bare(hostname=None, sourceDateEpoch=None, disk={"size": None})).spec == ImageSpec.model_validate(
        MINIMAL
    )


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("name", ["a", "a.b-c", "a" * 63], ["", "-a", "a-", "A", "a_b", "a" * 64, "a/b", "ä"]),
        ("version", ["1", "1.0+b~c_d-e", "1" * 64], ["", ".1", "-1", "1/2", "1 2", "1" * 65]),
        ("hostname", ["a", "edge-1.example.org", "a" * 63], ["", "A", "a..b", ".a", "a.", "-a", "a" * 64, "a_b"]),
        ("sourceDateEpoch", [315532800, 4102444800], [315532799, 4102444801, "1700000000", 1e9, True]),
        ("installRecommends", [True, False], ["yes", 1]),
        ("mirrors", [{"debian": "file:///srv"}], [{"debian": "ftp://a"}, {"debian": "http://"}, {"a": "http:// b"}]),
        ("disk", [{"size": "1KiB"}, {"size": "999999999999TiB"}], [{"size": "1"}, {"size": "1GB"}, {"size": "0GiB"}]),
        ("packages", [["a"] * 1024], [["a"] * 1025]),
        (
            "users",
            [[{"name": "_a"}], [{"name": "a", "home": "/"}], [{"name": "a", "shell": "/a.b/..c"}]],
            [[{"name": "A"}], [{"name": "a b"}], [{"name": "a:"}], [{"name": "a", "home": "a"}],
             [{"name": "a", "home": "/a/"}], [{"name": "a", "home": "//a"}], [{"name": "a", "home": "/.."}],
             [{"name": "a", "shell": "/a b"}], [{"name": "a", "shell": "/a:b"}], [{"name": "a", "groups": ["-a"]}]],
        ),
        ("kernel", [{"commandLine": ["a=\"b c\""]}], [{"commandLine": [" a"]}, {"commandLine": ["a\nb"]}]),
    ],
)  # fmt: skip
def test_values_that_could_do_harm_elsewhere_are_refused(field: str, right: list[Any], wrong: list[Any]) -> None:
    """Each value ends in file names, account files, fstab or a command line."""
    for value in right:
        ImageSpec.model_validate(bare(**{field: value}))
    for value in wrong:
        with pytest.raises(ValidationError):
            ImageSpec.model_validate(bare(**{field: value}))


@pytest.mark.parametrize(
    ("text", "size"), [("1KiB", 1 << 10), ("512MiB", 512 << 20), ("8GiB", 8 << 30), ("2TiB", 2 << 40)]
)
def test_sizes_are_read_with_their_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["8", "8GB", "8 GiB", "GiB", "-8GiB", "8GiB\n"])
def test_sizes_without_a_unit_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size such as 512MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 << 20, "1.5 GiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_are_shown_with_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert format_size(size) == text
