"""Text to tree: what is refused before anyone looks at fields."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import SpecError
from image_composer.spec.parse import MAX_BYTES, parse, shown


def refusal(content: bytes) -> str:
    name = "edge.json" if content.startswith(b"{") else "edge.yaml"
    with pytest.raises(SpecError) as caught:
        parse(content, name)
    assert [problem.code for problem in caught.value.problems] == ["SPEC_MALFORMED"]
    return caught.value.message


@pytest.mark.parametrize(
    "content",
    [b'{"a": [1, "x"]}', b"  \n{'a': 1}".replace(b"'", b'"'), b"a: [1, x]\n", b"---\na: 1\n", b"\xef\xbb\xbfa: 1\n"],
)
def test_json_and_yaml_are_told_apart_by_themselves(content: bytes) -> None:
    assert "a" in parse(content, "edge")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "edge.yaml is empty"),
        (b"# nothing but a comment\n", "edge.yaml is empty"),
        (b"- a\n- b\n", "edge.yaml must hold a mapping, not a list or a single value"),
        (b"42\n", "edge.yaml must hold a mapping, not a list or a single value"),
        (b'[{"a": 1}]', "edge.yaml must hold a mapping, not a list or a single value"),
        (b"a: \xff\n", "edge.yaml is not UTF-8 text (byte 3)"),
        pytest.param(b" " * (MAX_BYTES + 1), "edge.yaml is larger than 1024 KiB", id="large"),
        (b'{"a": 1,\n "b" 2}', "edge.json is not valid JSON: line 2, column 6: Expecting ':' delimiter"),
        (b'{"a": 1} {"a": 2}', "edge.json is not valid JSON: line 1, column 10: Extra data"),
        (b'{"a": {"b": 1, "b": 2}}', "edge.json has the key 'b' twice"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "edge.json is not valid JSON: Exceeds the limit", id="digits"),
        pytest.param(b'{"a": ' * 100_000, "edge.json is nested too deeply", id="deep JSON"),
        pytest.param(b"a: " + b"[" * 5000, "edge.yaml is nested too deeply", id="deep YAML"),
        (
            b"a: 1\nb: [1\nc: 2\n",
            "edge.yaml is not valid YAML: line 3, column 2: while parsing a flow sequence: expected ',' or ']'",
        ),
        (b"a: 1\n---\na: 2\n", "edge.yaml is not valid YAML: line 2, column 1: expected a single document"),
        (b"a:\n  b: 1\n  b: 2\n", "edge.yaml is not valid YAML: line 3, column 3: the key 'b' is there twice"),
        (b"a:\n  1: x\n", "edge.yaml is not valid YAML: line 2, column 3: the key 1 must be text"),
        (b"[a]: x\n", "edge.yaml is not valid YAML: line 1, column 1: the key a list must be text"),
        (b"a: &x 1\nb: *x\n", "edge.yaml is not valid YAML: line 2, column 4: aliases are not supported"),
        (b"a: !!python/object:os.system x\n", "edge.yaml is not valid YAML: line 1, column 4: tags are not supported"),
        (b"a: !!timestamp x\n", "edge.yaml is not valid YAML: line 1, column 4: tags are not supported"),
        (b"a: 0b_\n", "edge.yaml is not valid YAML: invalid literal"),
        (b"a: 2001-99-99\n", "edge.yaml is not valid YAML: month must be in 1..12"),
        (b"a: \x00\n", "edge.yaml is not valid YAML: "),
        (b"a: \x1b[31m\n", "edge.yaml is not valid YAML: "),
    ],
)
def test_what_is_wrong_with_a_text_is_said_with_its_place(content: bytes, message: str) -> None:
    assert refusal(content).startswith(message)


def test_a_file_s_name_says_that_a_bracket_begins_yaml() -> None:
    assert parse(b"{a: 1}", "edge.yaml") == {"a": 1}
    with pytest.raises(SpecError, match="is not valid JSON"):
        parse(b"{a: 1}", "-")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "'x'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("x" * 1000, repr("x" * 80 + "...")),
        (12, "12"),
        pytest.param(16**5000, "a long number", id="a number that Python does not print"),
        (True, "true"),
        (1.5, "a number with a point"),
        (None, "nothing"),
        ({"a": "secret"}, "a mapping"),
        ([1], "a list"),
        (b"x", "something else"),
    ],
)
def test_a_value_is_shown_briefly(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode(errors="replace"))))
def test_no_bytes_do_anything_but_parse_or_be_refused(content: bytes) -> None:
    with suppress(SpecError):
        parse(content, "edge")


@given(st.text(alphabet="ab: -[]{},&*!|>'\"#%\n\t?0179.~=<", max_size=60))
def test_no_text_of_yaml_signs_does_anything_but_parse_or_be_refused(text: str) -> None:
    with suppress(SpecError):
        parse(text.encode(), "edge")
