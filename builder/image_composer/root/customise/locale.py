"""Language, keyboard, time zone, messages: locale.conf(5), vconsole.conf(5), Debian's keyboard(5)."""

from __future__ import annotations

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root
from image_composer.root.operations import Operation
from image_composer.spec.features import BUILT_IN_LANGUAGES
from image_composer.spec.system import Locale, Messages

LOCALE_GEN = "/usr/sbin/locale-gen"
"""Debian's program that makes a language's files; it says nothing with its status."""

SETUPCON = "/usr/bin/setupcon"
"""Debian's program that loads the keymap; it knows keyboards as X does."""

VCONSOLE = "/usr/lib/systemd/systemd-vconsole-setup"
"""systemd's program that does so, which Debian leaves out."""

KEYBOARDS = "/usr/share/systemd/kbd-model-map"
"""X's keyboards by the name of the console's keymap, a line each: keymap, layout, model, variant, options."""


def locale_changes(wanted: Locale, root: Root) -> Changes:
    """Say what to write for language, keyboard and time.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_LANGUAGE, ASSEMBLE_NO_SUCH_KEYMAP, ASSEMBLE_NO_SUCH_TIME_ZONE.
    """
    found: list[Operation] = []
    commands: tuple[tuple[str, ...], ...] = ()
    if wanted.language is not None:
        text = f"LANG={wanted.language}\n"
        found += [operations.write("/etc/locale.conf", text), operations.write("/etc/default/locale", text)]
        if wanted.language not in BUILT_IN_LANGUAGES:
            made, commands = _language(wanted.language, root)
            found += made
    if wanted.keymap is not None:
        found += _keymap(wanted.keymap, root)
    if wanted.time_zone is not None:
        place = zone_file(wanted.time_zone)
        if not root.texts.get(place, "").startswith("TZif"):
            raise AssemblyError(
                "ASSEMBLE_NO_SUCH_TIME_ZONE",
                f"the image has no time zone {wanted.time_zone}",
                hint="name it as in the tz database, for example Europe/Berlin; its package is tzdata",
            )
        found += [
            operations.link("/etc/localtime", place),
            operations.write("/etc/timezone", f"{wanted.time_zone}\n"),
        ]
    return Changes(tuple(found), commands=commands)


def zone_file(name: str) -> str:
    """Give the file of a time zone."""
    return f"/usr/share/zoneinfo/{name}"


def language_files(language: str) -> tuple[str, str]:
    """Give what a language is made from where it is made in the image, and its folder where it is ready-made."""
    base, charset, modifier = _parts(language)
    normalised = "".join(filter(str.isalnum, charset.lower()))
    return f"/usr/share/i18n/locales/{base}{modifier}", f"/usr/lib/locale/{base}.{normalised}{modifier}"


def message_changes(wanted: Messages) -> Changes:
    """Say what to write for people who log in."""
    found: list[Operation] = []
    if wanted.motd is not None:
        found.append(operations.write("/etc/motd", wanted.motd))
    if wanted.issue is not None:
        found.append(operations.write("/etc/issue", wanted.issue))
    return Changes(tuple(found))


def _language(language: str, root: Root) -> tuple[list[Operation], tuple[tuple[str, ...], ...]]:
    """Give what makes a language's files."""
    source, ready = language_files(language)
    if LOCALE_GEN in root.present and source in root.present:
        return [operations.write("/etc/locale.gen", f"{language} {_parts(language)[1]}\n")], ((LOCALE_GEN,),)
    if LOCALE_GEN not in root.present and ready in root.present:
        return [], ()
    raise AssemblyError(
        "ASSEMBLE_NO_SUCH_LANGUAGE",
        f"the image has no language {language}",
        hint="name it as glibc does, for example de_DE.UTF-8",
    )


def _parts(language: str) -> tuple[str, str, str]:
    """Give language and country, the character set as glibc names its file, and the modifier with its sign."""
    rest, at, modifier = language.partition("@")
    base, _, charset = rest.partition(".")
    charset = charset.upper() or "UTF-8"
    return base, "UTF-8" if charset == "UTF8" else charset, at + modifier


def _keymap(keymap: str, root: Root) -> list[Operation]:
    found = [operations.write("/etc/vconsole.conf", f"KEYMAP={keymap}\n")]
    if VCONSOLE in root.present:
        return found
    rows = (line.split() for line in root.texts.get(KEYBOARDS, "").splitlines() if not line.startswith("#"))
    row = next((row for row in rows if row[:1] == [keymap] and len(row) >= 5), None)
    if SETUPCON not in root.present or row is None:
        raise AssemblyError(
            "ASSEMBLE_NO_SUCH_KEYMAP",
            f"the image can't load the keymap {keymap}",
            hint=f"one of those in the first column of {KEYBOARDS}, for example de-latin1",
        )
    names = ("XKBLAYOUT", "XKBMODEL", "XKBVARIANT", "XKBOPTIONS")
    text = "".join(f'{name}="{value if value != "-" else ""}"\n' for name, value in zip(names, row[1:5], strict=True))
    return [
        *found,
        operations.write("/etc/default/keyboard", f'{text}BACKSPACE="guess"\n'),
        operations.remove("/etc/console-setup/cached_*"),  # made for the keyboard that the package chose
    ]
