from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.repository.rpm.repomd import Plain, Repomd, parse_repomd
from support.rpmrepo import data_xml, repomd_xml

PRIMARY = data_xml("primary", "repodata/1-primary.xml.gz", b"packed", b"plain", "1705320000")
WHOLE = repomd_xml([PRIMARY], "1705320007")


def parsed(*entries: str, revision: str = "1705320007") -> Repomd:
    return parse_repomd(repomd_xml(entries, revision), "main")


def refused(content: bytes) -> tuple[str, str]:
    with pytest.raises(RepositoryError) as caught:
        parse_repomd(content, "main")
    assert caught.value.message.startswith("repository main: repodata/repomd.xml")
    assert caught.value.hint
    return caught.value.code, caught.value.message


def test_files_are_read_with_what_they_must_be_packed_and_unpacked() -> None:
    primary = parsed(PRIMARY).primary
    assert (primary.path, primary.suffix) == ("repodata/1-primary.xml.gz", ".gz")
    assert (primary.sha256, primary.size) == (bytes_sha256(b"packed"), 6)
    assert primary.plain == Plain(bytes_sha256(b"plain"), 5)


def test_types_that_nobody_needs_are_passed_over_whatever_they_say() -> None:
    others = [
        f'<data type="{kind}"><checksum type="md5">0</checksum><location href="/{kind}"/></data>'
        for kind in ("group", "updateinfo", "primary_db", "filelists_zck", "productid", "")
    ]
    found = parsed(PRIMARY, *others)
    assert (found.filelists, found.modular) == (None, False)


def test_modules_are_noticed() -> None:
    assert parsed(PRIMARY, data_xml("modules", "repodata/modules.yaml.gz", b"", b"", "1")).modular


@pytest.mark.parametrize(
    ("revision", "timestamp", "expected"),
    [
        ("1705320007", "1705320000", 1705320007),
        ("3.0.20240115", "1705320000", 1705320000),
        ("7", "1705320000.25", 1705320000),
        ("", "", 0),
    ],
)
def test_it_was_published_at_its_revision_if_that_is_a_time_or_else_with_its_newest_file(
    revision: str, timestamp: str, expected: int
) -> None:
    older = data_xml("other", "repodata/other.xml.gz", b"", b"", "1600000000" if timestamp else "")
    newest = data_xml("primary", "repodata/p.xml", b"", b"", timestamp)
    assert parsed(older, newest, revision=revision).published == expected


def test_a_file_that_is_not_packed_needs_one_digest() -> None:
    entry = f"""<data type="primary"><checksum type="sha256">{bytes_sha256(b"")}</checksum>
        <location href="repodata/primary.xml"/><size>0</size></data>"""
    assert parsed(entry).primary.plain is None


DIGEST = bytes_sha256(b"packed")

BROKEN = {
    "nothing": (b"", "REPO_MALFORMED"),
    "a web page": (b"<html><body>Sign in</body></html>", "REPO_MALFORMED"),
    "a metalink": (b'<metalink xmlns="http://www.metalinker.org/"><files/></metalink>', "REPO_MALFORMED"),
    "an end in the middle": (WHOLE[:-30], "REPO_MALFORMED"),
    "something behind the end": (WHOLE + b"<more/>", "REPO_MALFORMED"),
    "a document type": (WHOLE.replace(b"?>\n", b'?>\n<!DOCTYPE repomd [<!ENTITY a "b">]>\n', 1), "REPO_MALFORMED"),
    "an entity": (WHOLE.replace(b"1705320007", b"&a;"), "REPO_MALFORMED"),
    "two lists of packages": (repomd_xml([PRIMARY, PRIMARY], ""), "REPO_MALFORMED"),
    "no list of packages": (repomd_xml([data_xml("filelists", "f.xml", b"", b"", "")], ""), "REPO_INDEX_UNREADABLE"),
    "only databases": (repomd_xml([data_xml("primary_db", "p.sqlite", b"", b"", "")], ""), "REPO_INDEX_UNREADABLE"),
    "no location": (WHOLE.replace(b"href=", b"ref="), "REPO_MALFORMED"),
    "a way out": (WHOLE.replace(b"repodata/1", b"repodata/../../1"), "REPO_MALFORMED"),
    "an absolute path": (WHOLE.replace(b"repodata/1", b"/repodata/1"), "REPO_MALFORMED"),
    "another server": (WHOLE.replace(b"repodata/1", b"https://example.org/1"), "REPO_MALFORMED"),
    "another base": (WHOLE.replace(b"href=", b'xml:base="https://example.org/" href='), "REPO_MALFORMED"),
    "a question": (WHOLE.replace(b"repodata/1", b"repodata/1?"), "REPO_MALFORMED"),
    "an unknown compression": (WHOLE.replace(b".xml.gz", b".xml.zck"), "REPO_INDEX_UNREADABLE"),
    "SHA-1": (WHOLE.replace(b'"sha256"', b'"sha"'), "REPO_NO_SHA256"),
    "SHA-512": (WHOLE.replace(b'<open-checksum type="sha256"', b'<open-checksum type="sha512"'), "REPO_NO_SHA256"),
    "no digest": (WHOLE.replace(b"checksum", b"check"), "REPO_NO_SHA256"),
    "a digest that is none": (WHOLE.replace(DIGEST.encode(), b"1234"), "REPO_MALFORMED"),
    "no size": (WHOLE.replace(b"<size>6</size>", b""), "REPO_MALFORMED"),
    "a size that is none": (WHOLE.replace(b"<size>6<", b"<size>-6<"), "REPO_MALFORMED"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_repomd_with_this_is_refused(broken: str) -> None:
    content, code = BROKEN[broken]
    assert refused(content)[0] == code


def test_a_repository_of_databases_is_told_what_it_lacks() -> None:
    assert refused(BROKEN["only databases"][0])[1].endswith(
        "lists no packages in XML (type primary); listed: primary_db"
    )


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_words(content: bytes) -> None:
    with pytest.raises(RepositoryError):
        parse_repomd(content, "main")


@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.binary(max_size=20))
def test_any_change_is_read_or_refused_in_words(start: int, length: int, put: bytes) -> None:
    try:
        found = parse_repomd(WHOLE[:start] + put + WHOLE[start + length :], "main")
    except RepositoryError:
        return
    assert ".." not in found.primary.path.split("/")
    assert not found.primary.path.startswith("/")


@given(
    st.recursive(
        st.sampled_from(["", "text", "&#0;", "1705320000", "<location/>", "<size>1</size>", "<checksum/>"]),
        lambda inner: st.tuples(st.sampled_from(["data", "repomd", "revision", "checksum", "location"]), inner).map(
            lambda made: f'<{made[0]} type="primary" href="a.xml">{made[1]}</{made[0]}>'
        ),
        max_leaves=5,
    )
)
def test_any_elements_are_read_or_refused_in_words(inside: str) -> None:
    with contextlib.suppress(RepositoryError):
        parse_repomd(repomd_xml([inside], "1"), "main")
