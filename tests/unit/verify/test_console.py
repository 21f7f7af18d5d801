from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.verify.console import ConsoleText


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("plain\r\n", "plain\n"),
        ("\x1b[0;1;32m  OK  \x1b[0m] Started\x1b[K", "  OK  ] Started"),
        ("\x1b[2J\x1b[01;01H\x1b(Blogin: ", "login: "),
        ("\x1b]3008;start=ab;type=boot\x1b\\hello\x1b]0;title\x07", "hello"),
        ("\x1bP1$r0m\x1b\\x\x1bc", "x"),
        ("ab\x1b", "ab\x1b"),
    ],
)
def test_only_text_is_left(said: str, text: str) -> None:
    assert ConsoleText().feed(said.encode(), final=True) == text


def test_bytes_that_are_no_text_are_marked() -> None:
    assert ConsoleText().feed(b"a\xff\xfeb", final=True) == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


@given(
    st.lists(st.sampled_from(["\x1b", "[", "]", "P", "0;1", "m", "\x07", "\\", "é", "\n", "\r", "(", "B"])), st.data()
)
def test_the_text_is_the_same_however_the_bytes_are_cut(parts: list[str], data: st.DataObject) -> None:
    said = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=5)))
    console = ConsoleText()
    pieces = [console.feed(said[start:end]) for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert "".join(pieces) + console.feed(b"", final=True) == ConsoleText().feed(said, final=True)


def test_an_escape_without_an_end_does_not_hold_the_console_back() -> None:
    console = ConsoleText()
    assert "login: " in console.feed(b"\x1b]" + b"x" * 5000 + b"login: ")
