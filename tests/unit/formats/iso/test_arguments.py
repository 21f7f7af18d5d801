from __future__ import annotations

import re

import pytest

from image_composer.formats.iso.arguments import DiskFacts, installer_arguments, volume_label
from image_composer.formats.iso.grub import menu
from image_composer.root.installer import TARGET
from image_composer.spec.outputs import Installer
from support.disks import IDENTITY

FACTS = DiskFacts("edge-1.0", 1 << 30, "ab" * 32, 1 << 20, "cd" * 32, 2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["installer.target=ask", "installer.overwrite=no", "installer.when-done=poweroff"]),
        (
            {"target": {"rule": "smallest"}, "overwrite": True, "whenDone": "reboot"},
            ["installer.target=smallest", "installer.overwrite=yes", "installer.when-done=reboot"],
        ),
        ({"target": {"rule": "serial", "value": "S-1"}}, ["installer.target=serial:S-1"]),
        ({"target": {"rule": "path", "value": "/dev/vda"}}, ["installer.target=path:/dev/vda"]),
    ],
)
def test_the_installer_is_told_what_the_document_says(settings: dict[str, object], expected: list[str]) -> None:
    given = installer_arguments(["ro"], Installer.model_validate(settings), FACTS, "LABEL")
    assert set(expected) <= set(given)


def test_the_disk_is_named_by_size_and_digest() -> None:
    given = installer_arguments(["ro", "console=ttyS0"], Installer(), FACTS, "LABEL")
    assert given[:2] == ["ro", "console=ttyS0"]
    assert {f"installer.size={1 << 30}", f"installer.sha256={'ab' * 32}", "installer.grow=2"} <= set(given)
    assert {f"installer.packed-size={1 << 20}", f"installer.packed-sha256={'cd' * 32}"} <= set(given)
    assert f"rd.systemd.unit={TARGET}" in given
    assert not any(argument.startswith(("root=", "roothash=")) for argument in given)


def test_without_a_partition_that_grows_none_is_named() -> None:
    given = installer_arguments([], Installer(), DiskFacts("edge", 1, "0", 1, "0", None), "LABEL")
    assert not any("grow" in argument for argument in given)


def test_the_label_is_one_that_every_system_reads() -> None:
    assert re.fullmatch(r"[A-Z0-9_]{1,32}", volume_label(IDENTITY))


def test_grub_is_given_words_that_its_shell_takes_as_they_are() -> None:
    text = menu("edge-1.0", ["ro", "odd='a $b;c'"])
    [line, other] = [line.strip() for line in text.splitlines() if line.strip().startswith("linux ")]
    assert line == r"""linux /boot/kernel 'ro' 'odd='\''a' '$b;c'\'''"""
    assert other == f"{line} installer.target=ask"
