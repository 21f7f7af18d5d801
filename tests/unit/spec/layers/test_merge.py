"""How documents become one: each rule, and what holds for whatever documents say."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import Problem
from image_composer.spec.image import ImageSpec
from image_composer.spec.layers.fields import held_model, is_default, known_fields, without_defaults
from image_composer.spec.layers.merge import NAMED, ONE_OF, REQUESTS, WHOLE, merge
from image_composer.spec.layers.node import Budget, Node, annotated, plain
from image_composer.spec.layers.variables import TEMPLATES
from support.specs import bare

Tree = dict[str, Any]


def node(tree: Any, source: str = "") -> Node:
    return annotated(tree, source, "", Budget())


def merged(*trees: Tree) -> Tree:
    """Give what documents say together, which must not contradict each other."""
    problems: list[Problem] = []
    result = reduce(lambda earlier, later: merge(earlier, later, problems), map(node, trees))
    assert problems == []
    found: Tree = plain(result)
    return found


def contradictions(*trees: Tree) -> list[str]:
    problems: list[Problem] = []
    nodes = [node(tree, f"{number}.yaml") for number, tree in enumerate(trees)]
    reduce(lambda earlier, later: merge(earlier, later, problems), nodes)
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("earlier", "later", "together"),
    [
        ({"hostname": "a"}, {"hostname": "b"}, {"hostname": "b"}),
        ({"hostname": "a"}, {"hostname": None}, {"hostname": "a"}),
        ({"hostname": None}, {"hostname": "b"}, {"hostname": "b"}),
        ({"sysctl": {"a.b": "1", "c.d": "2"}}, {"sysctl": {"c.d": "3"}}, {"sysctl": {"a.b": "1", "c.d": "3"}}),
        (
            {"locale": {"keymap": "de"}},
            {"locale": {"timeZone": "UTC"}},
            {"locale": {"keymap": "de", "timeZone": "UTC"}},
        ),
        ({"packages": ["a", "b"]}, {"packages": ["c", "a"]}, {"packages": ["a", "b", "c"]}),
        ({"packages": ["a=1", "b"]}, {"packages": ["a=2"]}, {"packages": ["a=2", "b"]}),
        ({"packages": []}, {"packages": ["a", "a"]}, {"packages": ["a", "a"]}),
        (
            {"users": [{"name": "a", "shell": "/bin/sh", "groups": ["x"]}, {"name": "b"}]},
            {"users": [{"name": "c"}, {"name": "a", "groups": ["y"], "uid": 1000}]},
            {
                "users": [
                    {"name": "a", "shell": "/bin/sh", "groups": ["x", "y"], "uid": 1000},
                    {"name": "b"},
                    {"name": "c"},
                ]
            },
        ),
        (
            {"users": [{"name": "a"}]},
            {"users": [{"name": "a", "uid": 1}, {"name": "a", "uid": 2}]},
            {"users": [{"name": "a", "uid": 1}, {"name": "a", "uid": 2}]},
        ),
        (
            {"files": [{"path": "/a", "content": "x", "template": True, "mode": "0600"}]},
            {"files": [{"path": "/a", "url": "https://example.org", "sha256": "0"}]},
            {"files": [{"path": "/a", "mode": "0600", "url": "https://example.org", "sha256": "0"}]},
        ),
        (
            {"files": [{"path": "/a", "content": "x"}]},
            {"files": [{"path": "/a", "mode": "0600"}]},
            {"files": [{"path": "/a", "content": "x", "mode": "0600"}]},
        ),
        (
            {"systemd": {"dropIns": [{"unit": "a.service", "name": "x", "content": "1"}]}},
            {
                "systemd": {
                    "dropIns": [
                        {"unit": "b.service", "name": "x", "content": "2"},
                        {"unit": "a.service", "name": "x", "content": "3"},
                    ]
                }
            },
            {
                "systemd": {
                    "dropIns": [
                        {"unit": "a.service", "name": "x", "content": "3"},
                        {"unit": "b.service", "name": "x", "content": "2"},
                    ]
                }
            },
        ),
        (
            {"disk": {"size": "8GiB", "partitions": [{"label": "a"}, {"label": "b"}]}},
            {"disk": {"partitions": [{"label": "c"}]}},
            {"disk": {"size": "8GiB", "partitions": [{"label": "c"}]}},
        ),
        ({"outputs": [{"format": "vhd"}]}, {"outputs": [{"format": "qcow2"}]}, {"outputs": [{"format": "qcow2"}]}),
    ],
)
def test_the_later_word_counts(earlier: Tree, later: Tree, together: Tree) -> None:
    assert merged(earlier, later) == together


@pytest.mark.parametrize(
    ("earlier", "later", "said"),
    [
        (
            {"packages": ["a"]},
            {"packages": "a"},
            ["1.yaml: packages: is a single value, but a list in 0.yaml: packages"],
        ),
        (
            {"locale": {}},
            {"locale": ["x"]},
            ["1.yaml: locale: is a list, but a mapping in 0.yaml: locale"],
        ),
        (
            {"mutability": "immutable"},
            {"mutability": "mutable"},
            [
                "1.yaml: mutability: is the default, which does not replace what 0.yaml: mutability says, since a"
                " cluster can't tell it from silence; take that away with 'remove: [mutability]'"
            ],
        ),
        (
            {"outputs": [{"format": "vhd"}]},
            {"outputs": [{"format": "raw"}]},
            [
                "1.yaml: outputs: is the default, which does not replace what 0.yaml: outputs says, since a"
                " cluster can't tell it from silence; take that away with 'remove: [outputs]'"
            ],
        ),
    ],
)
def test_contradictions_are_said_with_both_places(earlier: Tree, later: Tree, said: list[str]) -> None:
    assert contradictions(earlier, later) == said


def test_every_value_knows_its_document() -> None:
    problems: list[Problem] = []
    base = node({"users": [{"name": "a", "shell": "/bin/sh"}], "packages": ["x", "y"]}, "base.yaml")
    leaf = node({"users": [{"name": "a", "uid": 1000}], "packages": ["z", "y"]})
    found = merge(base, leaf, problems).fields
    user = found["users"].value[0].fields
    assert {name: str(user[name].origin) for name in user} == {
        "name": "users[0].name",
        "shell": "base.yaml: users[0].shell",
        "uid": "users[0].uid",
    }
    assert [str(item.origin) for item in found["packages"].value] == [
        "base.yaml: packages[0]",
        "packages[1]",
        "packages[0]",
    ]


def test_every_list_of_things_has_a_rule() -> None:
    """A new list of models is named by something, or counts as a whole: decide in layers/merge.py."""
    held = {place: held_model(field.annotation) for place, field in known_fields().items()}
    lists = {place for place, (model, is_list) in held.items() if model is not None and is_list}
    assert lists - {"extends"} == NAMED.keys() | WHOLE
    names = {f"{place}[].{name}" for place, keys in NAMED.items() for name in keys}
    alternatives = {f"{place}.{name}" for place, fields in ONE_OF.items() for name in fields}
    assert names | alternatives | REQUESTS | TEMPLATES <= known_fields().keys()


def test_defaults_of_an_api_server_say_nothing() -> None:
    full = ImageSpec.model_validate(bare(hostname="a", users=[{"name": "b", "sudo": "passwordless"}]))
    said = without_defaults(full.model_dump(mode="json", by_alias=True))
    assert ImageSpec.model_validate(said) == full
    assert said["users"] == [{"name": "b", "sudo": "passwordless"}]
    assert {"hostname", "name", "version", "target", "users"} <= said.keys()
    assert not {"mutability", "outputs", "installRecommends", "sourceDateEpoch"} & said.keys()
    assert is_default("outputs", [{"format": "raw"}])
    assert not is_default("users[].name", "a")
    assert not is_default("outputs", 3)


NAMES = st.sampled_from("abc")
USERS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "shell": st.sampled_from(["/bin/sh", "/bin/bash"]),
            "groups": st.lists(NAMES, unique=True, max_size=3),
            "uid": st.integers(1000, 1002),
        },
    ),
    unique_by=lambda user: user["name"],
    max_size=3,
)
FILES = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["/a", "/b"])},
        optional={"mode": st.sampled_from(["0600", "0640"]), "content": NAMES, "link": st.just("/c")},
    ),
    unique_by=lambda file: file["path"],
    max_size=2,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "hostname": NAMES | st.none(),
        "packages": st.lists(
            st.sampled_from(["a", "a=1", "b", "c"]), unique_by=lambda text: text.split("=")[0], max_size=3
        ),
        "sysctl": st.dictionaries(NAMES, st.sampled_from("12"), max_size=3),
        "users": USERS,
        "files": FILES,
        "outputs": st.lists(st.fixed_dictionaries({"format": st.sampled_from(["vhd", "qcow2"])}), max_size=2),
        "disk": st.fixed_dictionaries({}, optional={"size": st.sampled_from(["8GiB", "9GiB"])}),
    },
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "path", "users", "files", "outputs", "packages"]), below, max_size=3)
    ),
    max_leaves=12,
)


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_it_does_not_matter_which_two_are_merged_first(a: Tree, b: Tree, c: Tree) -> None:
    assert merged(merged(a, b), c) == merged(a, merged(b, c))


@given(DOCUMENTS)
def test_a_document_merged_with_itself_or_with_nothing_stays(tree: Tree) -> None:
    assert merged(tree, tree) == tree
    assert merged({}, tree) == tree == merged(tree, {})


@given(DOCUMENTS, DOCUMENTS)
def test_nothing_of_the_later_document_is_lost(earlier: Tree, later: Tree) -> None:
    together = merged(earlier, later)
    assert merged(together, later) == together


@given(
    st.dictionaries(st.sampled_from(["users", "files", "packages", "disk"]), ANYTHING),
    ANYTHING.map(lambda x: {"users": x}),
)
def test_nonsense_is_merged_or_refused(earlier: Tree, later: Tree) -> None:
    contradictions(earlier, later)
