"""Reads the paragraphs of Debian control files as they lie in an image: dpkg's status, copyright files.

Such files come from any package, so nothing here fails on odd input: a line that is neither field nor continuation
is left out.
"""

from __future__ import annotations

from collections.abc import Iterator


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Give each paragraph's fields by lower-case name.

    Continuation lines keep their line breaks and lose the one leading blank that marks them. When a field is given
    twice the first counts, as for dpkg, which refuses the second.
    """
    fields: dict[str, str] = {}
    current: str | None = None
    for line in text.split("\n"):
        line = line.removesuffix("\r")  # noqa: PLW2901 - the same line, without its DOS line end
        if not line.strip():
            if fields:
                yield fields
            fields, current = {}, None
        elif line[0] in " \t":
            if current is not None:
                fields[current] += "\n" + line[1:]
        elif not line.startswith("#"):
            name, colon, value = line.partition(":")
            key = name.strip().lower()
            current = key if colon and key not in fields else None
            if current is not None:
                fields[current] = value.strip()
    if fields:
        yield fields
