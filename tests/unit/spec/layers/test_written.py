"""A document of several, written as one: it means the same, says where values come from, and holds no secret."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from image_composer.spec.document import check_manifest, read_document
from image_composer.spec.layers.compose import Surroundings
from image_composer.spec.layers.written import as_yaml, rendered, shown_origins
from image_composer.spec.parse import parse
from support.specs import SHA512_HASH, bare, manifest

BASE: dict[str, Any] = {
    "hostname": "${SITE}-gw",
    "variables": [{"name": "SITE", "default": "berlin"}],
    "users": [{"name": "alice", "passwordHash": SHA512_HASH}],
    "repositories": [
        {
            "id": "x",
            "url": "https://me:canary@example.org/deb",
            "suite": "x",
            "key": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        }
    ],
    "files": [{"path": "/a", "content": "${SITE}\n$${x}\n", "template": True}, {"path": "/b", "content": "${x}"}],
    "messages": {"motd": "$${SITE}"},
}
LEAF = bare(extends=[{"file": "base.yaml"}], users=[{"name": "alice", "shell": "/bin/sh"}])
SURROUNDINGS = Surroundings(load=lambda _: BASE)


def test_what_is_written_means_the_same() -> None:
    tree = manifest(LEAF)
    document = check_manifest(tree, SURROUNDINGS)
    whole = rendered(tree, document)
    whole["spec"]["image"]["users"][0]["passwordHash"] = SHA512_HASH
    whole["spec"]["image"]["repositories"][0]["url"] = BASE["repositories"][0]["url"]
    again = read_document(as_yaml(whole, shown_origins(document, "edge.yaml")).encode(), "whole.yaml")
    assert again.spec == document.spec


def test_secrets_are_not_written() -> None:
    tree = manifest(
        LEAF,
        metadata={
            "name": "edge",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": SHA512_HASH, "a": "b"},
            "managedFields": [SHA512_HASH],
        },
        status={"x": SHA512_HASH},
    )
    document = check_manifest(tree, SURROUNDINGS)
    text = as_yaml(rendered(tree, document), shown_origins(document, "edge.yaml"))
    assert SHA512_HASH[20:] not in text
    assert "canary" not in text
    assert "passwordHash: '***'" in text
    assert "https://***@example.org/deb" in text
    assert "a: b" in text


def test_comments_name_each_place() -> None:
    document = check_manifest(manifest(LEAF), SURROUNDINGS)
    shown = shown_origins(document, "my\nedge.yaml")
    assert shown["spec.image.hostname"] == "base.yaml: hostname with SITE"
    assert shown["spec.image.users[0].shell"] == "my?edge.yaml: spec.image.users[0].shell"
    lines = as_yaml(rendered(manifest(LEAF), document), shown).splitlines()
    assert "    hostname: berlin-gw  # base.yaml: hostname with SITE" in lines
    assert "        content: |  # base.yaml: files[0].content with SITE" in lines


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=30),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=10), below, max_size=3),
    max_leaves=15,
)
COMMENTS = st.dictionaries(st.sampled_from(["a", "a[0]", "a.b", "b"]), st.just("from: here # there"))


@given(st.dictionaries(st.sampled_from(["a", "b", "true", "12"]), TREES), COMMENTS)
def test_yaml_that_is_written_is_read_back(tree: dict[str, Any], comments: dict[str, str]) -> None:
    text = as_yaml(tree, comments)
    assert parse(text.encode() or b"{}", "x.yaml") == tree or not tree


@given(st.text(alphabet="ab \n\t#:-|>'\"\\$\x85\u2028", max_size=40))
def test_every_text_is_read_back(text: str) -> None:
    assert parse(as_yaml({"a": {"content": [text]}}, {"a.content[0]": "x"}).encode(), "x.yaml") == {
        "a": {"content": [text]}
    }
