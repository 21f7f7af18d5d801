"""APT's source lists, as sources.list(5) describes both forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer_providers.apt_sources import source_entries


def entries(path: str, text: str) -> list[tuple[str, str]]:
    return [(entry.url, entry.suite) for entry in source_entries(path, text)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://a.example/debian bookworm main", [("http://a.example/debian", "bookworm")]),
        ("  deb\thttp://a.example/debian\tbookworm\tmain # ours", [("http://a.example/debian", "bookworm")]),
        ("deb [arch=amd64 signed-by=/k.gpg] http://a.example x main", [("http://a.example", "x")]),
        ("deb [ arch=amd64 ] http://a.example x main", [("http://a.example", "x")]),
        ("deb http://a.example ./", [("http://a.example", "./")]),
        ("deb file:/srv/debian bookworm main", [("file:/srv/debian", "bookworm")]),
        ("deb-src http://a.example/debian bookworm main", []),
        ("# deb http://a.example/debian bookworm main", []),
        ("deb http://a.example", []),
        ("debian http://a.example bookworm", []),
        ("", []),
    ],
)
def test_one_line_is_one_source(line: str, expected: list[tuple[str, str]]) -> None:
    assert entries("/etc/apt/sources.list", line) == expected


def test_every_line_of_a_list_is_read() -> None:
    text = "deb http://a.example x main\n\ngarbage\ndeb http://b.example y main\n"
    assert entries("/etc/apt/sources.list.d/a.list", text) == [("http://a.example", "x"), ("http://b.example", "y")]


STANZA = """\
# ours
Types: deb deb-src
URIs: http://a.example/debian
 http://b.example/debian
Suites: bookworm
# not yet: trixie
 bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: http://c.example
 -----END PGP PUBLIC KEY BLOCK-----
"""
A, B = "http://a.example/debian", "http://b.example/debian"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STANZA, [(A, "bookworm"), (A, "bookworm-updates"), (B, "bookworm"), (B, "bookworm-updates")]),
        (STANZA.replace("deb deb-src", "deb-src"), []),
        (STANZA.replace("URIs", "URIS").replace("Types:", "types :"), entries("x.sources", STANZA)),
        (f"{STANZA}Enabled: yes\n", entries("x.sources", STANZA)),
        *((f"{STANZA}Enabled: {word}\n", []) for word in ("no", "No", "false", "0", "off", "disable", "without")),
        ("Types: deb\nSuites: x\n", []),
        ("Types: deb\nURIs: http://a.example\n", []),
        ("URIs: http://a.example\nSuites: x\n", []),
        (" a continuation of nothing\nTypes: deb\nURIs: u\nSuites: s\n", [("u", "s")]),
        ("Types: deb\nURIs: u\nSuites: s\n \t\nTypes: deb\nURIs: v\nSuites: s\n", [("u", "s"), ("v", "s")]),
        ("Types: deb\r\nURIs: u\r\nSuites: s\r\n\r\nTypes: deb\r\nURIs: v\r\nSuites: s\r\n", [("u", "s"), ("v", "s")]),
    ],
)
def test_stanzas_name_every_address_with_every_suite(text: str, expected: list[tuple[str, str]]) -> None:
    assert entries("/etc/apt/sources.list.d/x.sources", text) == expected


@given(
    st.sampled_from(["a.list", "a.sources"]), st.text(alphabet="deb [a=b]:#\n\t Types URIs Suites\r\x85é", max_size=80)
)
def test_no_text_makes_reading_fail(path: str, text: str) -> None:
    for entry in source_entries(path, text):
        assert entry.url.strip() == entry.url
        assert entry.suite
