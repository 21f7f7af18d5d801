"""Whatever a document says, it is refused with the place of what is wrong, or taken at its word and carried out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from image_composer.errors import AssemblyError, SpecError
from image_composer.manifest import Family, Manifest
from image_composer.provider import load_providers
from image_composer.root.accounts import account_operations
from image_composer.root.customise.all import document_changes
from image_composer.root.customise.changes import Root
from image_composer.root.customise.locale import KEYBOARDS, zone_file
from image_composer.root.customise.ssh import INCLUDE, SERVER
from image_composer.root.system import system_operations
from image_composer.spec.document import read_document
from image_composer.spec.image import ImageSpec
from image_composer.spec.rules import spec_problems
from image_composer.spec.rules_target import target_problems
from support.customised import written
from support.generated import EXAMPLE, WRONG, places, replaced, values

OTHERS = ("extends", "remove", "variables", "values")
"""Fields about what a document is made of, whose tests are in layers/: they are gone before the rest is looked at."""

FULL: dict[str, Any] = {
    name: value
    for name, value in yaml.safe_load(EXAMPLE.read_text().replace("${PORT}", "443"))["spec"]["image"].items()
    if name not in OTHERS
}

ACCOUNTS = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "/etc/group": "root:x:0:\n",
    "/etc/shadow": "root:*:1::::::\n",
    "/etc/gshadow": "root:*::\n",
}


class Everything(Mapping[str, int]):
    """All names there are."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> int:
        return 1000

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def all_written(spec: ImageSpec) -> dict[str, str]:
    """Give all files that a document is made into, in a root that has whatever it takes for granted."""
    texts = {SERVER: INCLUDE, KEYBOARDS: f"{spec.locale.keymap} us pc105 - -\n"}
    if spec.locale.time_zone is not None:
        texts[zone_file(spec.locale.time_zone)] = "TZif"
    there = Root(Everything(), Family.DEB, Everything(), Everything(), Everything(), texts)
    given = dict.fromkeys(range(len(spec.files)), b"given")
    hostname = spec.hostname or spec.name
    operations = [
        *account_operations(spec.users, ACCOUNTS, 0, 42, groups=spec.groups),
        *system_operations(hostname, [], spec.disk.partitions, known_hosts=spec.network.hosts),
        *document_changes(
            spec, {number: content for number, content in given.items() if needs(spec, number)}, there
        ).operations,
    ]
    return written(operations)


def needs(spec: ImageSpec, number: int) -> bool:
    file = spec.files[number]
    return file.url is not None or file.config_map_ref is not None or file.secret_ref is not None


def manifests() -> list[Manifest]:
    return [provider.manifest(release) for provider in load_providers().values() for release in provider.releases()]


MODELS = ImageSpec.model_json_schema()
for name in OTHERS:
    del MODELS["properties"][name]
for name in ("Extends", "Variable"):
    del MODELS["$defs"][name]
SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@SLOW
@given(values(MODELS, MODELS["$defs"]))
def test_what_the_models_take_is_judged_by_every_rule_and_can_be_carried_out(spec: dict[str, Any]) -> None:
    read = ImageSpec.model_validate(spec)
    found = spec_problems(read, "spec.image", frozenset())
    for manifest in manifests():
        found += target_problems(read, manifest, "spec.image")
    assert all(problem.path.startswith("spec.image.") for problem in found)
    if not spec_problems(read, "", frozenset()):
        with suppress(AssemblyError):  # ids that are taken, for one
            assert [path for path in all_written(read) if not is_plain(path)] == []


def is_plain(path: str) -> bool:
    return path.startswith("/") and ".." not in PurePosixPath(path).parts and "\0" not in path


@SLOW
@given(values(MODELS, MODELS["$defs"]), st.data())
def test_what_is_wrong_is_refused_with_its_place(spec: dict[str, Any], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([*places(spec)]))
    wrong = replaced(spec, path, data.draw(st.sampled_from(WRONG)))
    try:
        ImageSpec.model_validate(wrong)
    except ValidationError:
        said = refusal(wrong)
        assert said, "it was taken"
        assert any(about(problem, path) for problem in said), (path, said)


def refusal(spec: object) -> list[str]:
    """Give the places that are complained about."""
    try:
        read_document(json.dumps(spec).encode(), "edge.json")
    except SpecError as error:
        return [problem.path for problem in error.problems]
    return []


def about(said: str, path: tuple[str | int, ...]) -> bool:
    """Say whether a place is one in a document, above or below it."""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return name.startswith(said) or said.startswith(name)


HOSTILE = [
    "../../etc/shadow",
    "/etc/../../etc/shadow",
    "/dev/sda",
    "//x",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\n[Install]\nAlias=x",
    "a\\",
    "a\\\nb",
    "$(touch /pwned) `touch /pwned` ; touch /pwned | touch /pwned && touch /pwned",
    "'\"'",
    "%n %h %%",
    "{{ x }} ${x}",
    "-rf",
    "--help",
    "#x",
    "~root",
    "*",
    "[x]",
    "a b\tc",
    "a:b:c,d=e",
    "\u00e9\u2028\u2029\x85",
    "\x1b[31m",
    "",
    " ",
    "x" * 300_000,
]
FREE = {"content", "motd", "issue", "banner", "nftables", "userData", "metaData", "networkConfig", "vendorData", "key"}
"""Fields whose text is a file's, with as many lines as it likes; certificates are checked to be some."""

NAMES = {"path", "name", "unit", "home", "id", "link", "label"}
"""Fields that name a file or a part of its name."""


def texts_of(tree: dict[str, Any]) -> list[tuple[str | int, ...]]:
    def at(path: tuple[str | int, ...]) -> Any:
        found: Any = tree
        for part in path:
            found = found[part]
        return found

    return [path for path in places(tree) if isinstance(at(path), str)]


@cache
def as_it_was() -> dict[str, str]:
    return all_written(ImageSpec.model_validate(FULL))


@pytest.mark.parametrize("path", texts_of(FULL), ids=lambda path: ".".join(map(str, path)))
def test_hostile_text_is_refused_with_its_place_or_taken_literally(path: tuple[str | int, ...]) -> None:
    for text in HOSTILE:
        changed = replaced(FULL, path, text)
        said = refusal(changed)
        if said:
            assert any(about(one, path) for one in said) or path[-1] in NAMES | FREE, (text[:80], said)
            continue
        check_literal(path, text, all_written(ImageSpec.model_validate(changed)))


def check_literal(path: tuple[str | int, ...], text: str, now: dict[str, str]) -> None:
    """See that a text changed the content of files alone, in which it stands as it is, on one line if it must."""
    before, field = as_it_was(), path[-1]
    if field not in NAMES:
        assert now.keys() == before.keys(), (text[:80], now.keys() ^ before.keys())
    assert all(is_plain(name) for name in now)
    for name in now.keys() & before.keys():
        if now[name] != before[name]:
            assert field == "contentBase64" or text.strip() in now[name], (name, text[:80])
            if field not in FREE:
                assert now[name].count("\n") == before[name].count("\n"), (name, text[:80])


KEYED = {
    ("sysctl",): "1",
    ("kernel", "modules", "options"): "a=1",
    ("trust", "certificates"): "",
    ("network", "interfaces", 0, "vlans"): 7,
    ("scripts", 0, "environment"): "x",
}


@pytest.mark.parametrize("path", KEYED, ids=lambda path: ".".join(map(str, path)))
def test_hostile_names_of_entries_are_refused_with_their_place(path: tuple[str | int, ...]) -> None:
    for text in HOSTILE:
        said = refusal(replaced(FULL, path, {text: KEYED[path]}))
        assert any(one.startswith("".join(str(part) for part in path[:1])) for one in said), text[:80]


def test_every_text_of_the_models_is_among_those_tried() -> None:
    """If not: add the field to spec/example.yaml."""
    tried = {str(path[-1]) if not isinstance(path[-1], int) else f"{path[-2]}[]" for path in texts_of(FULL)}
    assert {name for name in fields_of(MODELS) if name not in tried} == set()


def fields_of(models: dict[str, Any]) -> set[str]:
    """Give the names of all fields that hold text, those of lists with brackets."""
    found = set()
    for model in (models, *models["$defs"].values()):
        for name, node in model.get("properties", {}).items():
            for choice in node.get("anyOf", [node]):
                if choice.get("type") == "string" and "const" not in choice:
                    found.add(name)
                if choice.get("type") == "array" and choice["items"].get("type") == "string":
                    found.add(f"{name}[]")
    return found
