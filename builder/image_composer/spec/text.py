"""Small types of what goes into configuration files: each is one line, or a text that is written as it is.

What becomes part of a line of a configuration file must not be able to begin another one, so line breaks and NUL are
refused here, and whatever else the format takes for its own is refused by the type of that field.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

LARGEST_TEXT = 262144
"""Characters of a text that stands in a document; larger files are given by URL."""


def check_base64(text: str) -> str:
    """Give base64 back.

    Raises:
        ValueError: with the sentence for the user.
    """
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    return text


Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=LARGEST_TEXT)]
"""The content of a text file, written as it is."""

Base64 = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9+/=\s]*$", max_length=LARGEST_TEXT), AfterValidator(check_base64)
]
"""Bytes as base64; white space is passed over."""

Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$", max_length=1000)]
"""One line of a configuration file."""

FileMode = Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$", max_length=4)]
"""Permissions in octal, for example `0640`; setuid, setgid and sticky bits are not for files of a document."""

FolderMode = Annotated[str, StringConstraints(pattern=r"^[0-3][0-7]{3}$", max_length=4)]
"""Permissions in octal, for example `0755`, `2775` (what is made in it keeps its group), `1777` (as /tmp)."""

FileStem = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", max_length=64)]
"""Name of a configuration file without folder and ending."""

UnitName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9:_\\@-][A-Za-z0-9:_.\\@-]{0,115}[.](service|socket|target|timer|mount|automount|path|slice|swap)$",
        max_length=128,
    ),
]
"""A systemd unit's name."""

ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", max_length=64)]
"""A kernel module's name."""

ModuleOptions = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f\\]{1,1000}$", max_length=1000)]
"""A kernel module's options: one line, which a backslash would continue."""

SysctlName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+([./][A-Za-z0-9_*-]+){1,8}$", max_length=128)]
"""A kernel setting's name, for example `net.ipv4.ip_forward`."""

Language = Annotated[
    str,
    StringConstraints(
        pattern=r"^(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)([.][A-Za-z0-9-]{1,16})?(@[a-z]{1,16})?$", max_length=48
    ),
]
"""A locale's name, for example `en_US.UTF-8`."""

Keymap = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", max_length=64)]
"""A console keymap's name, for example `de-latin1`."""

TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,2}$", max_length=64)]
"""A time zone by its name in the tz database, for example `Europe/Berlin`."""

Certificate = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=65536)]
"""A certificate in PEM."""
