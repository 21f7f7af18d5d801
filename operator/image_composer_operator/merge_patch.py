"""JSON merge patches (RFC 7396): what has to be sent so that one document becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Give the patch that makes `new` of `old`; empty when they are equal. Lists are replaced as a whole."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        former = old.get(name)
        if isinstance(value, Mapping) and isinstance(former, Mapping):
            inner = merge_patch(former, value)
            if inner:
                patch[name] = inner
        elif value != former or name not in old:
            patch[name] = value
    return patch
