"""Turns Debian's licence synopses (`GPL-2+ or Artistic-2.0, and BSD-3-clause`) into SPDX expressions.

The grammar is that of the copyright format 1.0, section 7.2: `and` binds closer than `or`, unless a comma comes
before it. A synopsis that doesn't follow it is not guessed at: it becomes one licence of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from image_composer.evidence.license_names import EXCEPTIONS, spdx_identifier

Operator = Literal["AND", "OR"]

_OPERATORS: dict[str, Operator] = {"and": "AND", "or": "OR"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~:/()-]*", re.ASCII)
_WITH = re.compile(r"(?P<name>\S+)\s+with\s+(?:the\s+)?(?P<keyword>.+?)\s+exceptions?", re.IGNORECASE)

LONGEST_SYNOPSIS = 1000
"""Characters; a longer one is prose in the wrong place, and one licence of its own."""


@dataclass(frozen=True, slots=True)
class Term:
    """Licences held together by one operator; a single one needs none."""

    operands: tuple[str, ...]
    operator: Operator = "AND"

    def __str__(self) -> str:
        return f" {self.operator} ".join(self.operands)


def join(terms: Sequence[Term], operator: Operator) -> Term:
    """Join expressions by one operator, each operand once and sorted: the order says nothing.

    SPDX lets `AND` bind closer than `OR`, so only alternatives within a conjunction need brackets.
    """
    if len(set(terms)) == 1:
        return terms[0]
    operands: set[str] = set()
    for term in terms:
        if term.operator == operator or len(term.operands) == 1:
            operands.update(term.operands)
        else:
            operands.add(f"({term})" if operator == "AND" else str(term))
    return Term(tuple(sorted(operands)), operator)


def parse_synopsis(synopsis: str, reference: Callable[[str], str]) -> Term:
    """Give the SPDX expression of a synopsis.

    Args:
        synopsis: what follows `License:` on its line.
        reference: gives the `LicenseRef-` for a name that SPDX doesn't know.
    """
    text = " ".join(synopsis.split())
    words = [word for part in re.split(r"(,)", text) for word in part.split()]
    if len(text) > LONGEST_SYNOPSIS:
        return Term((reference(text),))
    try:
        return _comma_separated(words, reference)
    except _NotInGrammarError:
        return Term((reference(text),))


class _NotInGrammarError(Exception):
    """The synopsis is not one of the format's; handled where it is parsed."""


def _comma_separated(words: Sequence[str], reference: Callable[[str], str]) -> Term:
    """Read operands joined by `, and` and `, or`, which bind the least, from left to right."""
    clauses = _split(words, {","})
    result = _either(clauses[0][1], reference)
    for _, clause in clauses[1:]:
        if not clause or clause[0].lower() not in _OPERATORS:
            raise _NotInGrammarError
        result = join([result, _either(clause[1:], reference)], _OPERATORS[clause[0].lower()])
    return result


def _either(words: Sequence[str], reference: Callable[[str], str]) -> Term:
    alternatives = [
        join([_license(part, reference) for _, part in _split(alternative, {"and"})], "AND")
        for _, alternative in _split(words, {"or"})
    ]
    return join(alternatives, "OR")


def _split(words: Sequence[str], separators: set[str]) -> list[tuple[str, list[str]]]:
    """Cut words at separators; each piece comes with the separator before it."""
    pieces: list[tuple[str, list[str]]] = [("", [])]
    for word in words:
        if word.lower() in separators:
            pieces.append((word.lower(), []))
        else:
            pieces[-1][1].append(word)
    return pieces


def _license(words: Sequence[str], reference: Callable[[str], str]) -> Term:
    """Read one licence, with its exception if it has one."""
    text = " ".join(words)
    if len(words) == 1 and _NAME.fullmatch(text):
        return _named(text, reference)
    match = _WITH.fullmatch(text)
    if match is None or not _NAME.fullmatch(match["name"]):
        raise _NotInGrammarError
    identifier = spdx_identifier(match["name"])
    exception = EXCEPTIONS.get(match["keyword"].lower())
    if identifier is None or " " in identifier or exception is None:
        return Term((reference(text),))
    return Term((f"{identifier} WITH {exception}",))


def _named(name: str, reference: Callable[[str], str]) -> Term:
    identifier = spdx_identifier(name)
    if identifier is None:
        return Term((reference(name),))
    return Term(tuple(identifier.split(" OR ")), "OR")
