"""SHA256SUMS, as coreutils' `sha256sum --check` reads it."""

from __future__ import annotations

from collections.abc import Mapping


def sha256sums(digests: Mapping[str, str]) -> str:
    """Give the text of a SHA256SUMS file.

    Args:
        digests: SHA-256 in lower-case hex by file name.

    The asterisk says that files are read as bytes; a name with a backslash or a line break is escaped as coreutils
    does it.
    """
    return "".join(_line(name, digests[name]) for name in sorted(digests))


def _line(name: str, digest: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest} *{escaped}\n"
