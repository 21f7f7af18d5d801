"""Variables: `${NAME}` in a text becomes the value of NAME. There is nothing else: no functions, no nesting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from image_composer.errors import Problem, SpecError
from image_composer.spec.composition import Variable, VariableType
from image_composer.spec.layers.fields import below
from image_composer.spec.layers.node import Node, Origin, plain
from image_composer.spec.parse import MAX_BYTES, shown

Value = str | int | bool

LARGEST_RESULT = 2 * MAX_BYTES
"""Characters of all texts together that variables were filled into."""

TEMPLATES = frozenset({"files[].content", "systemd.units[].content", "systemd.dropIns[].content"})
"""Contents that are templates when `template: true` stands beside them."""

VERBATIM = frozenset({"content", "metaData", "networkConfig", "nftables", "userData", "vendorData"})
"""Fields for other programs to read, which may have variables of their own: they are taken as they stand."""

MOST_PROBLEMS = 100
"""Problems after which nobody reads on."""

_MARK = re.compile(r"\$\$\{|\$\{(?P<name>[^{}]{0,64})\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def is_verbatim(place: str) -> bool:
    """Say whether a text at a place is no template unless it says so."""
    return place.rpartition(".")[2] in VERBATIM


def values_of(root: Node, given: Mapping[str, str]) -> dict[str, Value]:
    """Give the value of every variable that a document declares.

    Args:
        root: the merged document.
        given: values that count before the document's own.

    Raises:
        SpecError: one has none, or a wrong one, or a value is given to one that isn't declared.
    """
    fields = root.fields
    declared = {node.value["name"].value: node for node in _held(fields, "variables", [])}
    texts = {name: node for name, node in _held(fields, "values", {}).items() if node.value is not None}
    texts |= {name: Node(text, Origin("", f"--set {name}")) for name, text in given.items()}
    problems = [
        Problem(str(node.origin), f"{shown(name)} is not a variable of the document", "SPEC_UNKNOWN_VARIABLE")
        for name, node in texts.items()
        if name not in declared
    ]
    found: dict[str, Value] = {}
    for name, node in declared.items():
        variable = Variable.model_validate(plain(node))
        text = texts.get(name) or node.value.get("default")
        if text is None or text.value is None:
            message = f"{name} has neither a default nor a value; give one in 'values' or by --set {name}=VALUE"
            problems.append(Problem(str(node.origin), message, "SPEC_MISSING_VALUE"))
            continue
        try:
            found[name] = _typed(variable, text.value)
        except ValueError as error:
            problems.append(Problem(str(text.origin), f"{name} {error}"))
    if problems:
        raise SpecError(problems)
    return found


def _held(fields: Mapping[str, Node], name: str, nothing: Any) -> Any:
    return (fields[name].value if name in fields else None) or nothing


def _typed(variable: Variable, text: str) -> Value:
    if variable.choices and text not in variable.choices:
        raise ValueError(f"must be one of {', '.join(map(shown, variable.choices))}, not {shown(text)}")
    if variable.type is VariableType.INTEGER:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"must be a whole number, not {shown(text)}")
        return int(text)
    if variable.type is VariableType.BOOLEAN:
        if text not in ("true", "false"):
            raise ValueError(f"must be true or false, not {shown(text)}")
        return text == "true"
    return text


@dataclass
class Filler:
    """Fills variables into texts, and collects what is wrong with them."""

    values: Mapping[str, Value]

    def __post_init__(self) -> None:
        """Begin."""
        self.problems: list[Problem] = []
        self.characters = 0
        self._said: set[Problem] = set()

    def filled(self, node: Node, place: str = "", *, is_template: bool = False) -> Node:
        """Give a node with variables filled into all texts below it.

        Raises:
            SpecError: the result is too large.
        """
        if isinstance(node.value, dict):
            return Node(self._fields(node, place), node.origin)
        if isinstance(node.value, list):
            return Node([self.filled(item, f"{place}[]") for item in node.value], node.origin)
        if not isinstance(node.value, str) or "${" not in node.value or (is_verbatim(place) and not is_template):
            return node
        return self._text(node, node.value)

    def _fields(self, node: Node, place: str) -> dict[str, Node]:
        fields = dict(node.fields)
        is_template = False
        if below(place, "content") in TEMPLATES:
            flag = fields.get("template")
            if flag is not None and isinstance(flag.value, bool) and "content" in fields:
                is_template = flag.value
                del fields["template"]  # done, and never done twice
        return {
            name: self.filled(value, below(place, name), is_template=is_template and name == "content")
            for name, value in fields.items()
        }

    def _text(self, node: Node, text: str) -> Node:
        whole = _MARK.fullmatch(text)
        if whole and whole["name"] is not None:
            value = self._value(whole, node.origin)
            return Node(value, Origin(node.origin.source, node.origin.path, (whole["name"],)))
        pieces: list[str] = []
        names: dict[str, None] = {}
        end = 0
        for mark in _MARK.finditer(text):
            pieces.append(text[end : mark.start()])
            end = mark.end()
            if mark[0] == "$${":
                pieces.append("${")
            else:
                pieces.append(_as_text(self._value(mark, node.origin)))
                names[str(mark["name"])] = None
            self._spend(len(pieces[-2]) + len(pieces[-1]), node.origin)
        pieces.append(text[end:])
        return Node("".join(pieces), Origin(node.origin.source, node.origin.path, tuple(names)))

    def _value(self, mark: re.Match[str], origin: Origin) -> Value:
        name = mark["name"]
        if name is not None and name in self.values:
            return self.values[name]
        if name is None or not _NAME.fullmatch(name):
            message = "has a '${' that names no variable; write '$${' where '${' itself is meant"
        else:
            message = f"names {name}, which is not a variable of the document; '$${{{name}}}' is taken literally"
        problem = Problem(str(origin), message, "SPEC_UNKNOWN_VARIABLE")
        if problem not in self._said:
            self._said.add(problem)
            self.problems.append(problem)
        if len(self.problems) >= MOST_PROBLEMS:
            raise SpecError(self.problems)
        return ""

    def _spend(self, characters: int, origin: Origin) -> None:
        self.characters += characters
        if self.characters > LARGEST_RESULT:
            message = f"with its variables filled in, the document has more than {LARGEST_RESULT >> 20} MiB"
            raise SpecError([Problem(str(origin), message, "SPEC_TOO_LARGE")])


def _as_text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def escaped(tree: Any, place: str = "") -> Any:
    """Give a tree that means, when it is read as a document, what the given one says literally."""
    if isinstance(tree, dict):
        return {name: escaped(value, below(place, name)) for name, value in tree.items()}
    if isinstance(tree, list):
        return [escaped(value, f"{place}[]") for value in tree]
    return tree.replace("${", "$${") if isinstance(tree, str) and not is_verbatim(place) else tree
