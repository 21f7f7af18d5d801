"""The CustomResourceDefinition: generated, structural, bounded everywhere, and of one mind with the models.

Whether an API server takes it, and what it says to users, is proved on one: tests/cluster/test_crd.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]  # how Python itself reads patterns
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from image_composer.spec.credentials import HASH_FORMS, check_password_hash, check_ssh_key
from image_composer.spec.imagebuild import ImageBuildSpec
from image_composer_operator.admission import SPEC
from image_composer_operator.cel import BROKEN_HASH, HASH, SSH_KEY
from image_composer_operator.crd import crd, render_crd, schema
from image_composer_operator.reasons import Reason
from image_composer_operator.status import BuildStatus
from support.generated import WRONG, places, replaced, values
from support.specs import ED25519_KEY, MINIMAL, SHA512_HASH

PROJECT = Path(__file__).parents[3]

FORBIDDEN = {
    "$ref",
    "$defs",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "const",
    "title",
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "uniqueItems",
    "examples",
    "deprecated",
    "writeOnly",
    "readOnly",
}
"""What a structural schema may not hold, or what says nothing to anybody."""

CLIENT_SIDE_LIMIT = 256 << 10
"""Bytes of all annotations of an object: `kubectl apply` writes the whole object into one."""

RE2_REPEATS = 1000
"""How often RE2 repeats something at most."""

RE2_KNOWS = {
    _constants.ANY,
    _constants.AT,
    _constants.BRANCH,
    _constants.IN,
    _constants.LITERAL,
    _constants.MAX_REPEAT,
    _constants.NOT_LITERAL,
    _constants.SUBPATTERN,
}

Node = dict[str, Any]


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Give every node of a schema with its path."""
    yield path, node
    for name, below in node.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from nodes(node["additionalProperties"], f"{path}{{}}")


NODES = dict(nodes(schema()))


def test_the_committed_definition_is_current() -> None:
    """If not: make generate."""
    for copy in ("crds/imagebuilds.yaml", "charts/image-composer/files/imagebuilds.yaml"):
        assert (PROJECT / copy).read_text() == render_crd(), copy


def test_it_reads_as_what_it_was_written_from() -> None:
    assert yaml.safe_load(render_crd()) == crd()


def test_it_is_small_enough_to_be_applied_by_any_client() -> None:
    assert len(json.dumps(crd())) < CLIENT_SIDE_LIMIT / 2


def test_it_holds_nothing_that_a_structural_schema_may_not() -> None:
    assert {path: FORBIDDEN & node.keys() for path, node in NODES.items() if FORBIDDEN & node.keys()} == {}


def is_bounded(node: Node) -> bool:
    if "x-kubernetes-int-or-string" in node:
        return node.keys() >= {"maxLength", "pattern", "minimum", "maximum"}
    kind = node["type"]
    if kind == "string":
        return not node.keys().isdisjoint({"maxLength", "enum", "format"})
    if kind == "array":
        return "maxItems" in node
    if kind == "object":
        return "properties" in node or "maxProperties" in node or "x-kubernetes-preserve-unknown-fields" in node
    return kind == "boolean" or node.keys() >= {"minimum", "maximum", "format"}


def test_everything_has_its_limit() -> None:
    beyond = (".apiVersion", ".kind", ".metadata")
    assert [path for path, node in NODES.items() if not path.startswith(beyond) and not is_bounded(node)] == []


def test_everything_says_what_it_means() -> None:
    silent = [
        path
        for path, node in NODES.items()
        if not node.get("description") and not path.endswith(("[]", "{}")) and path != ".metadata"
    ]
    assert silent == []
    assert [path for path, node in NODES.items() if "\n" in node.get("description", "")] == []


def test_defaults_are_right_by_themselves() -> None:
    for path, node in NODES.items():
        if "default" in node:
            assert list(Draft202012Validator(as_json_schema(node)).iter_errors(node["default"])) == [], path


def test_each_reason_is_explained_where_kubectl_explain_shows_it() -> None:
    description = NODES[".status.conditions[].reason"]["description"]
    assert all(f"{reason}: {reason.meaning}" in description for reason in Reason)


def patterns() -> Iterator[tuple[str, str]]:
    for path, node in NODES.items():
        if "pattern" in node:
            yield path, node["pattern"]
        for rule in node.get("x-kubernetes-validations", ()):
            for pattern in re.findall(r"matches\(r'(.*?)'\)", rule["rule"]):
                yield f"{path} rule", pattern


PATTERNS = dict.fromkeys(pattern for _, pattern in patterns())


def beyond_re2(tokens: Any, repeats: int = 1) -> Iterator[str]:
    """Give what RE2 does not know of a parsed pattern."""
    for operation, argument in tokens:
        times = repeats
        if operation not in RE2_KNOWS:
            yield str(operation)
        if operation is _constants.MAX_REPEAT:
            times *= 1 if argument[1] is _constants.MAXREPEAT else max(argument[1], 1)
            if times > RE2_REPEATS:
                yield f"{times} repeats"
        parts = argument if isinstance(argument, (list, tuple)) else ()
        for part in parts:
            for inner in part if isinstance(part, list) else [part]:
                if isinstance(inner, _parser.SubPattern):
                    yield from beyond_re2(inner, times)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_api_server_reads_patterns_as_we_do(pattern: str) -> None:
    """RE2 looks neither ahead nor back; words and digits are ASCII there, and all Unicode's in pydantic's engine.

    `$` is the end in both, but in Python's own engine also before a last line break: there we use `fullmatch`.
    """
    assert [*beyond_re2(_parser.parse(pattern))] == []
    assert not re.search(r"\\[dDwWbBAZpP]", pattern)


@pytest.mark.parametrize("path", [path for path, node in NODES.items() if "pattern" in node])
def test_patterns_are_about_the_whole_text(path: str) -> None:
    pattern = NODES[path]["pattern"]
    first, *_, last = _parser.parse(pattern)
    assert (first, last) == (
        (_constants.AT, _constants.AT_BEGINNING),
        (_constants.AT, _constants.AT_END),
    )


def test_look_ahead_is_noticed() -> None:
    assert [*beyond_re2(_parser.parse(r"^a(?!b)(c{0,40}){40}"))] == ["ASSERT_NOT", "1600 repeats"]


def unquoted(literal: str) -> str:
    return literal.removeprefix("r'").removesuffix("'")


def is_a_hash(text: str) -> bool:
    try:
        return check_password_hash(text) == text
    except ValueError:
        return False


@pytest.mark.parametrize(
    "text",
    [
        *(f"$6${character}{'a' * 7}${'x' * 86}" for character in map(chr, range(0x20, 0x7F))),
        *(f"$5$rounds=5000$a{character}${'x' * 43}" for character in map(chr, range(0x20, 0x7F))),
        SHA512_HASH,
        f"{SHA512_HASH}\n",
        f"$y$j9T$salt${'x' * 43}",
        f"$gy$j9T$salt${'x' * 43}",
        f"$7${'a' * 11}${'x' * 43}",
        f"$2b$12${'x' * 53}",
        f"$2b$32${'x' * 53}",
        "$1$salt$x",
        "secret",
        "",
        "x" * 13,
    ],
)
def test_password_hashes_are_judged_alike(text: str) -> None:
    assert (re.search(as_python(unquoted(HASH)), text) is not None) == is_a_hash(text)
    if re.search(as_python(unquoted(BROKEN_HASH)), text):
        assert not is_a_hash(text)


def test_there_is_a_pattern_for_each_form_of_hash() -> None:
    """Change `admission.HASH` with them."""
    assert len(HASH_FORMS) == 6


@pytest.mark.parametrize(
    ("line", "is_accepted"),
    [
        (ED25519_KEY, True),
        (f"  {ED25519_KEY}\n", True),
        (" ".join(ED25519_KEY.split()[:2]), True),
        (f'from="10.0.0.0/8,!10.0.0.1",command="echo \\"a b\\"" {ED25519_KEY}', True),
        (f"restrict,pty {ED25519_KEY}", True),
        (f"# {ED25519_KEY}", False),
        ("ssh-dss AAAA", False),
        ("ssh-ed25519", False),
        ("ssh-ed25519 !", False),
        ("", False),
        (f"{ED25519_KEY}\n{ED25519_KEY}", False),
        (f"{ED25519_KEY} a\tb", False),
        (f"two words {ED25519_KEY}", False),
    ],
)
def test_ssh_keys_are_judged_alike_as_far_as_their_form_goes(line: str, is_accepted: bool) -> None:
    assert (re.search(as_python(SSH_KEY), line) is not None) == is_accepted
    if is_accepted:
        check_ssh_key(line)
    else:
        with pytest.raises(ValueError, match=r"must|does not|has a|is damaged"):
            check_ssh_key(line)


def as_python(pattern: str) -> str:
    """Give a pattern that Python reads as RE2 reads the given one."""
    return "(?a)" + re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def as_json_schema(node: Node) -> Node:
    """Give a JSON Schema that refuses what the API server refuses without CEL; unknown fields as for kubectl."""
    found = {key: value for key, value in node.items() if not key.startswith("x-kubernetes-") and key != "format"}
    if "x-kubernetes-int-or-string" in node:
        found["type"] = ["integer", "string"]
    if "pattern" in node:
        found["pattern"] = as_python(node["pattern"])
    if "properties" in node:
        found["properties"] = {name: as_json_schema(below) for name, below in node["properties"].items()}
        found["additionalProperties"] = False
    if "items" in node:
        found["items"] = as_json_schema(node["items"])
    if "additionalProperties" in node:
        found["additionalProperties"] = as_json_schema(node["additionalProperties"])
        for rule in node.get("x-kubernetes-validations", ()):  # what keys must look like
            if known := re.fullmatch(r"self\.all\(key, key in \[(.*)\]\)", rule["rule"]):
                found["propertyNames"] = {"enum": re.findall("'([^']+)'", known[1])}
            elif shape := re.fullmatch(r"self\.all\(key, key\.size\(\) <= (\d+) && .*r'(.*)'\)\)", rule["rule"]):
                found["propertyNames"] = {"maxLength": int(shape[1]), "pattern": as_python(shape[2])}
    return found


API_SERVER = Draft202012Validator(as_json_schema(NODES[".spec"]))


@pytest.mark.parametrize("example", sorted((PROJECT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_it_takes_the_examples(example: Path) -> None:
    for document in yaml.safe_load_all(example.read_text()):
        if document.get("kind") == "ImageBuild":  # others are what one builds on
            API_SERVER.validate(document["spec"])


EXAMPLE = PROJECT / "builder/image_composer/spec/example.yaml"


def test_it_takes_a_document_that_uses_every_field() -> None:
    API_SERVER.validate(yaml.safe_load(EXAMPLE.read_text())["spec"])


MODELS = ImageBuildSpec.model_json_schema()
SPECS = values(MODELS, MODELS["$defs"])


def without_nothing(tree: Any) -> Any:
    """Leave out what is null, as an API server does before it looks at anything else."""
    if isinstance(tree, dict):
        return {key: without_nothing(value) for key, value in tree.items() if value is not None}
    return [without_nothing(value) for value in tree] if isinstance(tree, list) else tree


def models_take(spec: Any) -> bool:
    try:
        ImageBuildSpec.model_validate(spec)
    except ValidationError:
        return False
    return True


SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@SLOW
@given(SPECS)
def test_what_the_models_take_the_api_server_takes(spec: Node) -> None:
    read = ImageBuildSpec.model_validate(spec)
    API_SERVER.validate(without_nothing(spec))
    API_SERVER.validate(without_nothing(read.model_dump(mode="json")))


CHECKED_BY_US = re.compile(
    r"packages\.\d+|passwordHash|sshAuthorizedKeys\.\d+|shell|home|mountPoint|hostPath"
    r"|contentBase64|gateway|address|dns|addresses|destination|path|link|interpreter"
)
"""Where the models call a function of ours: without CEL, the API server can't say all that it says."""


@SLOW
@given(SPECS, st.data())
def test_what_the_models_refuse_the_api_server_refuses(spec: Node, data: st.DataObject) -> None:
    spec = without_nothing(spec)
    path = data.draw(st.sampled_from([*places(spec)]))
    wrong = replaced(spec, path, data.draw(st.sampled_from(WRONG)))
    if models_take(wrong) or not CHECKED_BY_US.search(".".join(map(str, path))):
        assert API_SERVER.is_valid(wrong) == models_take(wrong), (path, wrong)


def test_status_limits_are_those_of_its_models() -> None:
    status = BuildStatus.model_validate(
        {
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "BuildFailed",
                    "message": "é" * 10_000,
                    "lastTransitionTime": "2026-01-02T03:04:05.678+01:00",
                    "observedGeneration": 3,
                }
            ],
            "stages": [{"name": "image", "message": "x" * 10_000}],
        }
    )
    Draft202012Validator(as_json_schema(NODES[".status"])).validate(status.as_json())


def test_rules_do_not_repeat_what_is_secret() -> None:
    """A message worked out from the value would show it; CEL itself names only the type."""
    for place in ("User.passwordHash", "User.sshAuthorizedKeys[]", "Repository.key", "S3Destination.caBundle"):
        assert all(rule.message_expression is None for rule in SPEC[place].rules)


def test_the_smallest_document_is_enough() -> None:
    API_SERVER.validate({"image": MINIMAL})
    assert not API_SERVER.is_valid({})
