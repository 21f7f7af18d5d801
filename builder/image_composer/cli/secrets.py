"""Keeps secrets out of whatever is printed, logged or reported, should one ever get into a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
"""Of the environment, and files of the folders below; a private key's lines come on top."""

FOLDERS = ("IMAGE_COMPOSER_S3_CREDENTIALS", "IMAGE_COMPOSER_S3_INPUTS_CREDENTIALS")

ALWAYS = (r"(?<=://)[^/@\s\"']+(?=@)", r"(?<=X-Amz-Signature=)[0-9a-fA-F]+", r"(?<=X-Amz-Security-Token=)[^&\s\"']+")
"""Passwords in URLs, and what makes a pre-signed address one that can be used."""

SHORTEST = 8
"""Characters; hiding shorter values would hide half of every text, and nobody has such keys."""

HIDDEN = "***"


class Writable(Protocol):
    """Takes texts."""

    def write(self, text: str, /) -> int:
        """Write a text."""

    def flush(self) -> None:
        """Hand on what was written."""


def hider(environment: Mapping[str, str]) -> Callable[[str], str]:
    """Give a function that hides the secrets of this environment, and passwords in URLs, in a text."""
    values = {environment.get(name, "") for name in VARIABLES}
    for folder in filter(None, (environment.get(name) for name in FOLDERS)):
        values |= {_content(Path(folder) / name) for name in VARIABLES}
    key = environment.get("IMAGE_COMPOSER_SECURE_BOOT_KEY")
    if key:
        values |= set(_content(Path(key)).splitlines())
    known = sorted((re.escape(value) for value in values if len(value) >= SHORTEST), key=len, reverse=True)
    pattern = re.compile("|".join([*known, *ALWAYS]))
    return lambda text: pattern.sub(HIDDEN, text)


def _content(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


class HidingStream:
    """A text stream that hides secrets in what is written to it, one whole text at a time."""

    def __init__(self, stream: Writable, hide: Callable[[str], str]) -> None:
        self._stream, self._hide = stream, hide

    def write(self, text: str, /) -> int:
        """Write a text without its secrets."""
        return self._stream.write(self._hide(text))

    def flush(self) -> None:
        """Hand on what was written."""
        self._stream.flush()
