"""Marks that tests of several modules wear."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def on_the_machine(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs the image started."""
    marked: Callable[..., None] = pytest.mark.boot(pytest.mark.timeout(1800)(test))
    return marked
