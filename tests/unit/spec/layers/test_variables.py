"""Variables: what is filled in, what is left alone, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import SpecError
from image_composer.spec.document import read_document
from image_composer.spec.layers.compose import Surroundings, compose
from image_composer.spec.layers.fields import known_fields
from image_composer.spec.layers.variables import MOST_PROBLEMS, escaped, is_verbatim
from image_composer.spec.text import LARGEST_TEXT
from support.specs import MINIMAL, bare, problems, read

DECLARED = [
    {"name": "SITE", "default": "berlin"},
    {"name": "PORT", "type": "integer", "default": "2222"},
    {"name": "KEYS_ONLY", "type": "boolean", "default": "true"},
]


def with_variables(**fields: Any) -> dict[str, Any]:
    return bare(variables=DECLARED, **fields)


def test_texts_anywhere_are_filled_in() -> None:
    spec = read(
        with_variables(
            hostname="gw-${SITE}-${PORT}",
            packages=["site-${SITE}"],
            sysctl={"kernel.x": "${PORT} "},
            scripts=[{"name": "a", "content": "echo ${SITE}", "environment": {"S": "${SITE} ${KEYS_ONLY}"}}],
        )
    ).spec
    assert spec.hostname == "gw-berlin-2222"
    assert spec.packages == ["site-berlin"]
    assert spec.sysctl == {"kernel.x": "2222 "}
    assert spec.scripts[0].environment == {"S": "berlin true"}


def test_a_field_that_is_one_variable_gets_its_typed_value() -> None:
    spec = read(with_variables(ssh={"port": "${PORT}", "passwordAuthentication": "${KEYS_ONLY}"})).spec
    assert (spec.ssh.port, spec.ssh.password_authentication) == (2222, True)


def test_scripts_and_contents_are_left_alone_unless_they_ask() -> None:
    shell = 'for x in "${list[@]}"; do echo ${x%.*} ${SITE}; done'
    spec = read(
        with_variables(
            scripts=[{"name": "a", "content": shell}],
            files=[{"path": "/a", "content": shell}, {"path": "/b", "content": "$${x} ${SITE}", "template": True}],
            systemd={
                "units": [{"name": "a.service", "content": "${SITE}"}],
                "dropIns": [{"unit": "a.service", "name": "x", "content": "${SITE}", "template": True}],
            },
            udevRules=[{"name": "a", "content": "${SITE}"}],
            cloudInit={"userData": "#!/bin/sh\necho ${SITE}"},
        )
    ).spec
    assert spec.scripts[0].content == spec.files[0].content == shell
    assert spec.files[1].content == "${x} berlin"
    assert spec.systemd.units[0].content == spec.udev_rules[0].content == "${SITE}"
    assert spec.systemd.drop_ins[0].content == "berlin"
    assert spec.cloud_init is not None
    assert spec.cloud_init.user_data == "#!/bin/sh\necho ${SITE}"


def test_a_text_of_several_lines_is_a_decision_of_ours() -> None:
    """New fields of that kind: does another program read them, with variables of its own? See VERBATIM."""
    texts = {place for place, field in known_fields().items() if f"max_length={LARGEST_TEXT}" in str(field.annotation)}
    filled = {place for place in texts if not is_verbatim(place)}
    assert filled == {"files[].contentBase64", "messages.issue", "messages.motd", "ssh.banner"}


def test_what_was_filled_in_gives_the_same_image_as_what_was_written() -> None:
    assert read(
        with_variables(hostname="${SITE}", files=[{"path": "/a", "content": "${SITE}", "template": True}])
    ).spec == (read(bare(hostname="berlin", files=[{"path": "/a", "content": "berlin"}])).spec)


def test_values_come_from_the_default_then_the_document_then_the_command_line() -> None:
    document = b'{"name": "edge", "version": "1", "target": {"distribution": "debian", "release": "12"}, %s'
    rest = b'"hostname": "${A}-${B}-${C}", "variables": [%s], "values": {"B": "2", "C": "2"}}'
    names = b", ".join(b'{"name": "%s", "default": "1"}' % name for name in (b"A", b"B", b"C"))
    found = read_document(document % (rest % names), "edge.json", Surroundings(values={"C": "3"}))
    assert found.spec.hostname == "1-2-3"
    assert str(found.origins["hostname"]) == "hostname with A, B, C"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            bare(hostname="${SITE}"),
            ["hostname: names SITE, which is not a variable of the document; '$${SITE}' is taken literally"],
        ),
        (
            bare(hostname="${", messages={"motd": "${a b} ${}"}),
            [
                "hostname: has a '${' that names no variable; write '$${' where '${' itself is meant",
                "messages.motd: has a '${' that names no variable; write '$${' where '${' itself is meant",
            ],
        ),
        (
            bare(variables=[{"name": "A"}]),
            ["variables[0]: A has neither a default nor a value; give one in 'values' or by --set A=VALUE"],
        ),
        (bare(values={"A": "1"}), ["values.A: 'A' is not a variable of the document"]),
        (bare(variables=[{"name": "A", "default": "1"}] * 2), ["variables: A is there 2 times"]),
        (
            bare(variables=[{"name": "A", "type": "integer", "default": "1.5"}]),
            ["variables[0].default: A must be a whole number, not '1.5'"],
        ),
        (
            bare(variables=[{"name": "A", "type": "boolean"}], values={"A": "yes"}),
            ["values.A: A must be true or false, not 'yes'"],
        ),
        (
            bare(variables=[{"name": "A", "choices": ["x", "y"], "default": "z"}]),
            ["variables[0].default: A must be one of 'x', 'y', not 'z'"],
        ),
        (bare(variables=[{"name": "A", "default": 12}]), ['variables[0].default: must be text; quote it: "12"']),
        (bare(variables=[{"name": "A", "default": True}]), ["variables[0].default: must be text; put it in quotes"]),
        (
            bare(files=[{"path": "/a", "link": "/b", "template": True}]),
            ["files[0].template: is without use: only content that stands in the document is a template"],
        ),
        (
            bare(variables=[{"name": "A", "default": "B_1"}], hostname="${A}"),
            [
                "hostname with A: 'B_1' does not match"
                r" ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$"
            ],
        ),
        (bare(remove=["packages[x]"]), ["remove: is without use: the document builds on no other"]),
    ],
)
def test_what_is_wrong_with_variables_is_said(document: dict[str, Any], expected: list[str]) -> None:
    assert problems(document) == expected


def test_values_are_no_templates_themselves() -> None:
    spec = read(bare(variables=[{"name": "A", "default": "${A}${A}"}], messages={"motd": "${A}"})).spec
    assert spec.messages.motd == "${A}${A}"


def test_a_small_document_can_not_become_a_huge_one() -> None:
    document = {
        **MINIMAL,
        "variables": [{"name": "A", "default": "x" * 4096}],
        "files": [{"path": f"/{number}", "content": "${A}" * 60000, "template": True} for number in range(4)],
    }
    with pytest.raises(SpecError, match="with its variables filled in, the document has more than 2 MiB"):
        compose(document, "", Surroundings())


def test_a_small_document_has_no_endless_list_of_problems() -> None:
    assert len(problems(bare(messages={"motd": "${" * 100_000}))) == 1
    assert len(problems(bare(messages={"motd": "".join(f"${{A{n}}}" for n in range(30_000))}))) == MOST_PROBLEMS


TEXTS = st.text(alphabet="${}AB_ x\n", max_size=20)


@given(TEXTS, TEXTS)
def test_what_is_escaped_is_taken_literally(text: str, content: str) -> None:
    tree = bare(messages={"motd": text}, files=[{"path": "/a", "content": content}])
    assert compose(escaped(tree), "", Surroundings()).tree == tree


@given(TEXTS, st.dictionaries(st.sampled_from(["A", "B", "_"]), TEXTS))
def test_every_text_is_filled_in_or_refused(text: str, values: dict[str, str]) -> None:
    tree = bare(messages={"motd": text}, variables=[{"name": name, "default": value} for name, value in values.items()])
    codes: set[str] = set()
    try:
        compose(tree, "", Surroundings())
    except SpecError as error:
        codes = {problem.code for problem in error.problems}
    assert codes <= {"SPEC_UNKNOWN_VARIABLE"}
