"""Files that must be what the code makes of them: documents that people read, and copies that must not drift.

`UPDATE_GOLDEN=1 pytest ...` writes them anew; `git diff` then shows what changed.
"""

from __future__ import annotations

import os
from pathlib import Path


def check(file: Path, text: str) -> None:
    """Hold a file against what it should be."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = file.read_text() if file.exists() else None
    assert found == text, f"{file} is out of date: UPDATE_GOLDEN=1 writes it anew"


def check_part(file: Path, name: str, text: str) -> None:
    """Hold the part of a Markdown file between `<!-- NAME -->` and `<!-- end of NAME -->` against what it should be."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = file.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    assert found, f"{file} has no part '{name}'"
    assert closed, f"the part '{name}' of {file} has no end"
    check(file, before + begin + text + end + after)
