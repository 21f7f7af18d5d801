"""Programs that tests run and that no machine has by itself."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from support.cluster.tools import build


def helm() -> Path:
    """Give Helm; the first time on a machine it is built, which takes minutes."""
    return _built("helm", "helm")


@cache
def _built(group: str, program: str) -> Path:
    if shutil.which("go") is None:
        pytest.skip(f"{program} is built with Go 1.26 or newer, which is not on PATH")
    return build(group) / program
