"""Following references: order, origins, cycles, and documents that want to be more than one machine can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import SpecError
from image_composer.spec.document import Document, read_document
from image_composer.spec.layers import compose as composing
from image_composer.spec.layers.compose import Address, Surroundings, UnavailableError, compose
from image_composer.spec.layers.node import MOST_VALUES
from support.specs import MINIMAL, bare, manifest, problems

Tree = dict[str, Any]

LEAF = Address("file", "edge.yaml")


def surroundings(files: Mapping[str, Tree], address: Address | None = LEAF) -> Surroundings:
    def load(wanted: Address) -> Tree:
        if str(wanted) not in files:
            raise UnavailableError("which is not there")
        return files[str(wanted)]

    return Surroundings(load, address)


def built_on(files: Mapping[str, Tree], **fields: Any) -> Tree:
    """Give what a document means that builds on files by their names."""
    return compose(bare(**fields), "", surroundings(files)).tree


def refused(files: Mapping[str, Tree], address: Address | None = LEAF, **fields: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        compose(bare(**fields), "", surroundings(files, address))
    return [f"{problem} [{problem.code}]" for problem in caught.value.problems]


def on(*names: str) -> list[Tree]:
    return [{"file": name} for name in names]


def test_later_documents_win_and_the_document_itself_last() -> None:
    files = {
        "a.yaml": {"hostname": "a", "locale": {"keymap": "a", "language": "C"}, "packages": ["a"]},
        "b.yaml": {"hostname": "b", "locale": {"keymap": "b"}, "packages": ["b"], "version": "0"},
    }
    assert built_on(files, extends=on("a.yaml", "b.yaml"), hostname="c", packages=["c"]) == {
        **MINIMAL,
        "hostname": "c",
        "locale": {"keymap": "b", "language": "C"},
        "packages": ["a", "b", "c"],
    }


def test_what_is_built_on_builds_on_others_beside_it() -> None:
    files: dict[str, Tree] = {
        "bases/edge.yaml": {"extends": on("common.yaml", "more/x.yaml"), "packages": ["edge"]},
        "bases/common.yaml": {"packages": ["common"]},
        "bases/more/x.yaml": manifest({"packages": ["x"]}),
    }
    assert built_on(files, extends=on("bases/edge.yaml"))["packages"] == ["common", "x", "edge"]


def test_each_document_takes_out_of_its_own_bases_only() -> None:
    files = {
        "a.yaml": {"extends": on("common.yaml"), "remove": ["packages[curl]"]},
        "common.yaml": {"packages": ["curl", "vim"], "outputs": [{"format": "vhd"}]},
    }
    assert built_on(files, extends=on("a.yaml"))["packages"] == ["vim"]
    assert built_on(files, extends=on("a.yaml", "common.yaml"))["packages"] == ["vim", "curl"]
    assert "outputs" not in built_on(files, extends=on("a.yaml"), remove=["outputs"])


def test_variables_and_values_are_inherited() -> None:
    files = {
        "a.yaml": {
            "variables": [{"name": "SITE", "choices": ["x", "y"]}, {"name": "N", "type": "integer", "default": "1"}],
            "hostname": "${SITE}-${N}",
        }
    }
    assert built_on(files, extends=on("a.yaml"), values={"SITE": "x"})["hostname"] == "x-1"
    changed = built_on(
        files, extends=on("a.yaml"), variables=[{"name": "N", "default": "2"}, {"name": "SITE", "default": "y"}]
    )
    assert changed["hostname"] == "y-2"


def test_both_forms_of_a_document_build_on_others() -> None:
    files = {"a.yaml": {"packages": ["a"]}}
    for document in (bare(extends=on("a.yaml")), manifest(bare(extends=on("a.yaml")))):
        assert written(document, files).spec.packages == ["a"]


def written(document: Tree, files: Mapping[str, Tree]) -> Document:
    return read_document(json.dumps(document).encode(), "edge.yaml", surroundings(files))


def test_problems_name_the_document_that_has_them() -> None:
    files = {
        "a.yaml": {"users": [{"name": "a", "uid": 5, "shel": "/bin/sh"}, {"name": "b"}], "packages": ["*"]},
        "b.yaml": manifest({"users": [{"name": "b", "sudo": "password"}], "colour": "red"}),
    }
    with pytest.raises(SpecError) as caught:
        written(manifest(bare(extends=on("a.yaml", "b.yaml"), users=[{"name": "b", "uid": "x"}])), files)
    assert {problem.path for problem in caught.value.problems} == {
        "a.yaml: packages[0]",
        "a.yaml: users[0].uid",
        "a.yaml: users[0].shel",
        "spec.image.users[0].uid",
        "b.yaml: spec.image.colour",
    }


@pytest.mark.parametrize(
    ("files", "fields", "expected"),
    [
        (
            {},
            {"extends": on("a.yaml")},
            ["extends[0]: names a.yaml, which is not there [SPEC_EXTENDS_UNAVAILABLE]"],
        ),
        (
            {"a.yaml": {"extends": on("b.yaml")}},
            {"extends": on("a.yaml")},
            ["a.yaml: extends[0]: names b.yaml, which is not there [SPEC_EXTENDS_UNAVAILABLE]"],
        ),
        (
            {"a.yaml": {"extends": on("b.yaml")}, "b.yaml": {"extends": on("a.yaml")}},
            {"extends": on("a.yaml")},
            ["b.yaml: extends[0]: leads back to where it came from: a.yaml -> b.yaml -> a.yaml [SPEC_EXTENDS_CYCLE]"],
        ),
        (
            {},
            {"extends": on("edge.yaml")},
            ["extends[0]: leads back to where it came from: edge.yaml -> edge.yaml [SPEC_EXTENDS_CYCLE]"],
        ),
        (
            {f"{n}.yaml": {"extends": on(f"{n + 1}.yaml")} for n in range(20)},
            {"extends": on("0.yaml")},
            ["7.yaml: extends[0]: is the end of a chain of more than 8 documents [SPEC_EXTENDS_TOO_DEEP]"],
        ),
        (
            {"a.yaml": {"kind": "ConfigMap", "apiVersion": "v1", "data": {}}},
            {"extends": on("a.yaml")},
            ["a.yaml: is neither an ImageBuild nor the spec of an image [SPEC_INVALID]"],
        ),
        (
            {"a.yaml": {"extends": [{"file": "x", "imageBuildRef": {"name": "x"}}, {}], "remove": [1]}},
            {"extends": on("a.yaml")},
            ['a.yaml: remove[0]: must be text; quote it: "1" [SPEC_INVALID]'],
        ),
        (
            {"a.yaml": {"extends": [{"file": "x", "imageBuildRef": {"name": "x"}}, {}]}},
            {"extends": on("a.yaml")},
            [
                "a.yaml: extends[0]: must have exactly one of configMapRef, file, imageBuildRef [SPEC_INVALID]",
                "a.yaml: extends[1]: must have exactly one of configMapRef, file, imageBuildRef [SPEC_INVALID]",
            ],
        ),
        (
            {"ConfigMap c/k": {"extends": on("a.yaml")}},
            {"extends": [{"configMapRef": {"name": "c", "key": "k"}}]},
            [
                "ConfigMap c/k: extends[0]: names a file, but there are none beside ConfigMap c/k"
                " [SPEC_EXTENDS_UNAVAILABLE]"
            ],
        ),
        (
            {"a.yaml": {"packages": ["x"]}},
            {"extends": on("a.yaml"), "remove": ["packages[x]", "packages[y]", "locale.keymap"]},
            [
                "remove[1]: names 'packages[y]', which nothing in 'extends' has [SPEC_NOTHING_TO_REMOVE]",
                "remove[2]: names 'locale.keymap', which nothing in 'extends' has [SPEC_NOTHING_TO_REMOVE]",
            ],
        ),
        (
            {"a.yaml": {**MINIMAL, "name": "base"}},
            {"extends": on("a.yaml"), "version": None},
            ["version: is missing; what a document builds on can't give it [SPEC_INVALID]"],
        ),
        (
            {"a.yaml": {"packages": ["x"] * (MOST_VALUES + 1)}},
            {"extends": on("a.yaml")},
            ["a.yaml, with what it builds on, has more than 100000 values [SPEC_TOO_LARGE]"],
        ),
    ],
)
def test_what_can_not_be_followed_is_refused(files: Mapping[str, Tree], fields: Tree, expected: list[str]) -> None:
    assert refused(files, **fields) == expected


@pytest.mark.parametrize(
    "file", ["../a.yaml", "/etc/passwd", "a/../../b", "./a", "a//b", "", "a\x00b", "a\nb", "~/a b", "x" * 300, 5, None]
)
def test_no_path_leads_out_of_the_folder(file: object) -> None:
    def load(address: Address) -> Tree:
        raise AssertionError(f"{address} was looked for")

    with pytest.raises(SpecError):
        compose(bare(extends=[{"file": file}]), "", Surroundings(load, LEAF))


def test_many_ways_to_one_document_are_one_visit() -> None:
    """16 documents that each name all of the next layer would be 16^7 visits."""
    visits: list[str] = []

    def load(address: Address) -> Tree:
        visits.append(str(address))
        layer = int(address.name.split("-")[0])
        below = on(*(f"{layer + 1}-{number}" for number in range(4))) if layer < 7 else []
        return {"extends": below, "packages": [f"p{address.name}"]}

    tree = compose(bare(extends=on(*(f"1-{number}" for number in range(4)))), "", Surroundings(load, LEAF)).tree
    assert len(visits) == len(set(visits)) == 28 == len(tree["packages"])


def test_there_is_an_end_to_documents() -> None:
    files: dict[str, Tree] = {
        f"{n}.yaml": {"extends": on(*(f"{n}-{m}.yaml" for m in range(16)))} for n in range(composing.MOST_DOCUMENTS)
    }
    files |= {f"{n}-{m}.yaml": {} for n in range(composing.MOST_DOCUMENTS) for m in range(16)}
    assert refused(files, extends=on("0.yaml", "1.yaml")) == [
        "1.yaml: extends[14]: is one document too many; 32 can become one [SPEC_EXTENDS_TOO_MANY]"
    ]


def test_a_deep_tree_is_refused_before_anything_walks_it() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    assert [line.rsplit(": ", 1)[1] for line in refused({}, packages=deep)] == ["is nested too deeply [SPEC_MALFORMED]"]


def test_without_surroundings_nothing_is_read() -> None:
    said = "extends[0]: names a.yaml, which can't be read here; 'image-composer render' writes one document of several"
    assert problems(bare(extends=on("a.yaml"))) == [said]


NODES = st.dictionaries(
    st.sampled_from("abcd"),
    st.fixed_dictionaries(
        {},
        optional={
            "extends": st.lists(st.sampled_from("abcd").map(lambda name: {"file": name}), max_size=3),
            "remove": st.lists(st.sampled_from(["packages[a]", "packages[b]", "hostname"]), max_size=2),
            "packages": st.lists(st.sampled_from("abc"), max_size=2) | st.integers(),
            "hostname": st.sampled_from(["x", "${V}"]),
            "variables": st.just([{"name": "V", "default": "1"}]),
            "values": st.dictionaries(st.sampled_from("VW"), st.text(max_size=2), max_size=1),
        },
    ),
)


@given(NODES, st.lists(st.sampled_from("abcd"), max_size=3))
def test_whatever_documents_say_about_each_other_they_become_one_or_are_refused(
    files: Mapping[str, Tree], names: list[str]
) -> None:
    with suppress(SpecError):
        found = compose(bare(extends=on(*names)), "", surroundings(files))
        assert {"extends", "remove", "variables", "values"}.isdisjoint(found.tree)
