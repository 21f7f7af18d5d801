"""Findings about fields, in the words and with the paths that users know."""

from __future__ import annotations

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from image_composer.errors import Problem
from image_composer.spec.parse import shown

Finding = tuple[str, str]
"""Path below the spec, and the sentence."""


def problems_of(error: ValidationError, prefix: str) -> list[Problem]:
    """Give pydantic's findings as problems with paths as users write them."""
    return [Problem(join_path(prefix, detail["loc"]), _sentence(detail), _code(detail)) for detail in error.errors()]


def join_path(prefix: str, parts: tuple[int | str, ...]) -> str:
    """Give a path such as `spec.image.packages[3]`; names that no field can have are quoted."""
    path = prefix
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += (f".{part}" if path else part) if FIELD_NAME.fullmatch(part) else f"[{shown(part)}]"
    return path


FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names that stand in a path as they are: those of fields and of archives."""


def _sentence(detail: ErrorDetails) -> str:
    """Give the sentence that a user reads for one of pydantic's findings."""
    kind, context, given = detail["type"], detail.get("ctx", {}), _without_password(detail["input"])
    sentences = {
        "extra_forbidden": "unknown field",
        "missing": "is missing",
        "value_error": str(context.get("error")),
        "enum": f"must be {context.get('expected')}, not {shown(given)}",
        "literal_error": f"must be {context.get('expected')}, not {shown(given)}",
        "string_pattern_mismatch": f"{shown(given)} does not match {context.get('pattern')}",
        "string_type": _must_be_text(given),
        "model_type": f"must be a mapping, not {shown(given)}",
        "dict_type": f"must be a mapping, not {shown(given)}",
        "list_type": f"must be a list, not {shown(given)}",
    }
    return sentences.get(kind, detail["msg"][0].lower() + detail["msg"][1:])


def _without_password(given: object) -> object:
    """Give a value as a message may repeat it: a URL may hold a user's name and password."""
    return re.sub(r"//[^/@\s]*@", "//***@", given) if isinstance(given, str) else given


def _must_be_text(given: object) -> str:
    """Say what to do about a value that YAML takes for something else, such as the release 12.

    Only whole numbers look here as they were written: 1.10 is 1.1 by now, and `no` is false.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return f'must be text; quote it: "{shown(given)}"'
    return "must be text" if given is None or isinstance(given, (list, dict)) else "must be text; put it in quotes"


def _code(detail: ErrorDetails) -> str:
    return {"extra_forbidden": "SPEC_UNKNOWN_FIELD", "missing": "SPEC_MISSING_FIELD"}.get(
        detail["type"], "SPEC_INVALID"
    )
