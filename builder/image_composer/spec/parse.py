"""Text to tree: YAML or JSON, one document, no key twice, nothing that can blow up or surprise."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import yaml

from image_composer.errors import Problem, SpecError

MAX_BYTES = 1 << 20
"""Largest document read: what etcd stores of one object, with room to spare."""

SHOWN_CHARACTERS = 80
"""How much of a wrong value a message repeats."""

LONG_NUMBER = 10**18
"""What no field holds; Python refuses to print numbers of thousands of digits."""


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Parse JSON or YAML to a mapping; one document, no key twice.

    Raises:
        SpecError: SPEC_MALFORMED says where.
    """
    if len(content) > MAX_BYTES:
        _malformed(name, f"is larger than {MAX_BYTES >> 10} KiB")
    try:
        text = content.decode("utf-8-sig")  # editors of some systems begin every file with a mark
    except UnicodeDecodeError as error:
        _malformed(name, f"is not UTF-8 text (byte {error.start})")
    # YAML may begin with a brace too: then the name decides, since a slip in JSON could be right in YAML.
    is_json = text.lstrip().startswith("{") and not name.endswith((".yaml", ".yml"))
    tree = _parse_json(text, name) if is_json else _parse_yaml(text, name)
    if not isinstance(tree, dict):
        _malformed(name, "is empty" if tree is None else "must hold a mapping, not a list or a single value")
    return tree


def shown(value: object) -> str:
    """Give a value as a message shows it: never long, never with characters that a terminal would act on."""
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "...")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < LONG_NUMBER:
        return str(value)
    names = {
        dict: "a mapping",
        list: "a list",
        int: "a long number",
        float: "a number with a point",
        type(None): "nothing",
    }
    return names.get(type(value), "something else")


def _parse_json(text: str, name: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                _malformed(name, f"has the key {shown(key)} twice")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        _malformed(name, f"is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}")
    except RecursionError:
        _malformed(name, "is nested too deeply")
    except ValueError as error:
        _malformed(name, f"is not valid JSON: {error}")


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, tags, and aliases, which can blow a small file up."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in the stubs
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases are not supported", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refusal("tags are not supported", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refusal(f"the key {shown(key)} must be text", key_node.start_mark)
            if key in seen:
                raise _refusal(f"the key {shown(key)} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _refusal(what: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, what, mark)


def _parse_yaml(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a safe loader of our own
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = f"{error.context}: {error.problem}" if error.context else error.problem
        _malformed(name, f"is not valid YAML: {where}{what}")
    except (yaml.YAMLError, ValueError) as error:
        _malformed(name, f"is not valid YAML: {error}")
    except RecursionError:
        _malformed(name, "is nested too deeply")


def _malformed(name: str, message: str) -> NoReturn:
    raise SpecError([Problem("", f"{name} {message}", "SPEC_MALFORMED")])
