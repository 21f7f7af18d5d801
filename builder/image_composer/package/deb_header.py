"""What a deb package's file says before it is unpacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60


def build_times(paths: Iterable[Path]) -> Iterator[int]:
    """Give the time that each package was built for, in seconds since 1970.

    dpkg-deb writes SOURCE_DATE_EPOCH, which is the changelog's time, into the header of the archive's first member;
    ar's header is 16 bytes of name and then 12 of the time in decimal.
    """
    for path in paths:
        with path.open("rb") as stream:
            header = stream.read(len(AR_MAGIC) + AR_HEADER)[len(AR_MAGIC) :]
        text = header[16:28].strip()
        if text.isdigit():
            yield int(text)
