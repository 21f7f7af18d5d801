"""How long machines took to start, for the end of the report."""

from __future__ import annotations

import pytest

BOOTS = pytest.StashKey[list[str]]()
"""One line a machine, in the configuration of the process that started it."""
