"""Language, keyboard, time zone, and what people read when they log in: locale.conf(5), vconsole.conf(5)."""

from __future__ import annotations

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root
from image_composer.root.operations import Operation
from image_composer.spec.system import Locale, Messages

ZONES = "/usr/share/zoneinfo"
BUILT_IN = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})
"""Languages that the C library has without any file."""

LOCALE_GEN = "/usr/sbin/locale-gen"
"""Debian's program that makes a language's files."""


def locale_changes(wanted: Locale, root: Root) -> Changes:
    """Say what to write for language, keyboard and time.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_TIME_ZONE.
    """
    found: list[Operation] = []
    commands: list[tuple[str, ...]] = []
    if wanted.language is not None:
        text = f"LANG={wanted.language}\n"
        found += [operations.write("/etc/locale.conf", text), operations.write("/etc/default/locale", text)]
        if LOCALE_GEN in root.present and wanted.language not in BUILT_IN:
            charset = wanted.language.partition(".")[2] or "UTF-8"
            found.append(operations.write("/etc/locale.gen", f"{wanted.language} {charset.upper()}\n"))
            commands.append((LOCALE_GEN,))
    if wanted.keymap is not None:
        found.append(operations.write("/etc/vconsole.conf", f"KEYMAP={wanted.keymap}\n"))
    if wanted.time_zone is not None:
        place = f"{ZONES}/{wanted.time_zone}"
        if place not in root.present:
            raise AssemblyError(
                "ASSEMBLE_NO_SUCH_TIME_ZONE",
                f"the image has no time zone {wanted.time_zone}",
                hint="name it as in the tz database, for example Europe/Berlin; its package is tzdata",
            )
        found += [
            operations.link("/etc/localtime", place),
            operations.write("/etc/timezone", f"{wanted.time_zone}\n"),
        ]
    return Changes(tuple(found), commands=tuple(commands))


def message_changes(wanted: Messages) -> Changes:
    """Say what to write for people who log in."""
    found: list[Operation] = []
    if wanted.motd is not None:
        found.append(operations.write("/etc/motd", wanted.motd))
    if wanted.issue is not None:
        found.append(operations.write("/etc/issue", wanted.issue))
    return Changes(tuple(found))
