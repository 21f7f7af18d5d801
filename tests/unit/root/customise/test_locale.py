"""Language, keyboard and time zone, by each distribution's way; messages."""

from __future__ import annotations

from typing import Any

import pytest

from image_composer.errors import AssemblyError
from image_composer.root.customise.changes import Root
from image_composer.root.customise.locale import (
    KEYBOARDS,
    LOCALE_GEN,
    SETUPCON,
    VCONSOLE,
    locale_changes,
    message_changes,
)
from image_composer.spec.system import Locale, Messages
from support.customised import root, written

BERLIN = "/usr/share/zoneinfo/Europe/Berlin"
MAP = "# a comment\nde-latin1\t\tde\tpc105\t\t-\t\tterminate:ctrl_alt_bksp\nus-acentos us pc105 intl -\nbroken us\n"


def both(language: str) -> dict[str, str]:
    return {"/etc/locale.conf": f"LANG={language}\n", "/etc/default/locale": f"LANG={language}\n"}


@pytest.mark.parametrize(
    ("language", "line", "source"),
    [
        ("de_DE.UTF-8", "de_DE.UTF-8 UTF-8", "de_DE"),
        ("de_DE.utf8", "de_DE.utf8 UTF-8", "de_DE"),
        ("de_DE", "de_DE UTF-8", "de_DE"),
        ("ca_ES.UTF-8@valencia", "ca_ES.UTF-8@valencia UTF-8", "ca_ES@valencia"),
        ("de_DE.ISO-8859-15@euro", "de_DE.ISO-8859-15@euro ISO-8859-15", "de_DE@euro"),
    ],
)
def test_debian_makes_a_language_in_the_image(language: str, line: str, source: str) -> None:
    there = root(LOCALE_GEN, f"/usr/share/i18n/locales/{source}")
    changes = locale_changes(Locale(language=language), there)
    assert written(changes) == {**both(language), "/etc/locale.gen": f"{line}\n"}
    assert changes.commands == ((LOCALE_GEN,),)


@pytest.mark.parametrize(
    ("language", "there"),
    [
        ("C.UTF-8", root(LOCALE_GEN)),
        ("POSIX", root()),
        ("de_DE.UTF-8", root("/usr/lib/locale/de_DE.utf8")),
        ("de_DE.ISO-8859-15@euro", root("/usr/lib/locale/de_DE.iso885915@euro")),
    ],
)
def test_a_language_that_is_there_is_only_chosen(language: str, there: Root) -> None:
    changes = locale_changes(Locale(language=language), there)
    assert (written(changes), changes.commands) == (both(language), ())


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [
        ({"language": "xx_YY.UTF-8"}, root(LOCALE_GEN), "no language xx_YY.UTF-8"),
        ({"language": "de_DE.UTF-8"}, root(), "no language de_DE.UTF-8"),
        ({"keymap": "dvorak-fr"}, root(SETUPCON, texts={KEYBOARDS: MAP}), "can't load the keymap dvorak-fr"),
        ({"keymap": "broken"}, root(SETUPCON, texts={KEYBOARDS: MAP}), "can't load the keymap broken"),
        ({"keymap": "de-latin1"}, root(texts={KEYBOARDS: MAP}), "can't load the keymap de-latin1"),
        ({"timeZone": "Europe/Atlantis"}, root(), "no time zone Europe/Atlantis"),
        ({"timeZone": "zone.tab"}, root(texts={"/usr/share/zoneinfo/zone.tab": "# no zone"}), "pattern"),
    ],
)
def test_what_the_image_lacks_is_told(wanted: dict[str, Any], there: Root, said: str) -> None:
    with pytest.raises((AssemblyError, ValueError), match=said):
        locale_changes(Locale.model_validate(wanted), there)


def test_a_time_zone_is_a_link_to_its_file() -> None:
    there = root(texts={BERLIN: "TZif2..."})
    found = written(locale_changes(Locale(time_zone="Europe/Berlin"), there))
    assert found == {"/etc/localtime": f"-> {BERLIN}", "/etc/timezone": "Europe/Berlin\n"}


def test_a_folder_of_time_zones_is_none() -> None:
    with pytest.raises(AssemblyError, match="no time zone Europe"):
        locale_changes(Locale(time_zone="Europe"), root("/usr/share/zoneinfo/Europe"))


def test_a_keymap_is_systemd_s_or_debian_s_to_load() -> None:
    wanted = Locale(keymap="de-latin1")
    vconsole = {"/etc/vconsole.conf": "KEYMAP=de-latin1\n"}
    assert written(locale_changes(wanted, root(VCONSOLE))) == vconsole
    debian = locale_changes(wanted, root(SETUPCON, texts={KEYBOARDS: MAP}))
    assert written(debian) == {
        **vconsole,
        "/etc/default/keyboard": 'XKBLAYOUT="de"\nXKBMODEL="pc105"\nXKBVARIANT=""\n'
        'XKBOPTIONS="terminate:ctrl_alt_bksp"\nBACKSPACE="guess"\n',
    }
    assert [one["path"] for one in debian.operations if one["kind"] == "remove"] == ["/etc/console-setup/cached_*"]


def test_messages_are_written_as_they_stand() -> None:
    assert written(message_changes(Messages(motd="a\n", issue="b \\l"))) == {"/etc/motd": "a\n", "/etc/issue": "b \\l"}
    assert written(message_changes(Messages(motd=""))) == {"/etc/motd": ""}
    assert written(message_changes(Messages())) == {}
