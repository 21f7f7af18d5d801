"""What a serial console says, as text: bytes come in pieces, terminal escapes go out."""

from __future__ import annotations

import codecs
import re

_STRING = r"[\]PX^_][^\x07\x1b]*"
"""Start of an operating system command, device control string and the like (ECMA-48, 5.6); ends with BEL or ST."""

_ESCAPES = re.compile(
    rf"\x1b(?:{_STRING}(?:\x07|\x1b\\)"  # a string and its end
    r"|\[[0-?]*[ -/]*[@-~]"  # a control sequence: colours, cursor
    r"|[ -/]+[0-~]"  # character sets
    r"|[^\]PX^_\[ -/\x1b])|\r",  # a single character
    re.DOTALL,
)
_UNFINISHED = re.compile(rf"\x1b(?:{_STRING}\x1b?|\[[0-?]*[ -/]*|[ -/]*)\Z")

_LONGEST_ESCAPE = 4096
"""Characters after which an escape without an end is taken for text; systemd's longest have some hundred."""


class ConsoleText:
    """Turns a console's bytes into text as they come.

    Firmware and systemd write escapes within lines; the same text comes out however the bytes were cut.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, chunk: bytes, *, final: bool = False) -> str:
        """Give the text that is complete with these bytes; all that is left with the final ones."""
        text = self._held + self._decoder.decode(chunk, final)
        unfinished = None if final else _UNFINISHED.search(text, max(0, len(text) - _LONGEST_ESCAPE))
        cut = len(text) if unfinished is None else unfinished.start()
        self._held = text[cut:]
        return _ESCAPES.sub("", text[:cut])
