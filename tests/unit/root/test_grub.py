"""What GRUB is told: its configuration, the settings of the distribution's tools, and the core's first steps."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.disk.identity import Identity
from image_composer.errors import AssemblyError
from image_composer.inspect.grub import read_configuration
from image_composer.root.grub import (
    BootPlace,
    Entry,
    boot_place,
    configuration,
    core_modules,
    early_configuration,
    kernel_words,
    quoted,
    settings,
    terminals,
)
from image_composer.spec.disk import Partition
from support import golden

GOLDEN = Path(__file__).with_name("golden")
IDENTITY = Identity("0" * 64)
ROOT: dict[str, Any] = {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/"}
BOOT: dict[str, Any] = {"label": "boot", "type": "linux", "filesystem": "ext4", "mountPoint": "/boot"}
ESP: dict[str, Any] = {"label": "ESP", "type": "esp", "filesystem": "vfat", "mountPoint": "/boot/efi"}
ARGUMENTS = 'root=PARTUUID=0-1 ro console=tty0 console=ttyS1,115200n8 dyndbg="file a.c +p" a=$b;{c}'
ENTRY = Entry(
    title="Debian's 12 (bookworm)",
    kernel_version="6.1.0-1-amd64",
    kernel="/boot/vmlinuz-6.1.0-1-amd64",
    initrd="/boot/initrd.img-6.1.0-1-amd64",
    command_line=ARGUMENTS,
)


def place(*partitions: dict[str, Any]) -> BootPlace:
    return boot_place([Partition.model_validate(partition) for partition in partitions], IDENTITY)


def test_the_configuration_starts_the_kernel_out_of_the_root() -> None:
    golden.check(GOLDEN / "grub.cfg", configuration(ENTRY, place(ESP, ROOT)))


def test_the_settings_make_the_distribution_s_tools_agree() -> None:
    golden.check(GOLDEN / "default-grub", settings(ARGUMENTS))


def test_the_settings_are_a_shell_script_that_gives_grub_s_words(tmp_path: Path) -> None:
    script = tmp_path / "grub"
    script.write_text(settings(ARGUMENTS))
    said = subprocess.run(
        ["sh", "-euc", '. "$0"; printf %s "$GRUB_CMDLINE_LINUX"', script], capture_output=True, text=True, check=True
    ).stdout
    assert shlex.split(said) == ["console=tty0", "console=ttyS1,115200n8", "dyndbg=file a.c +p", "a=$b;{c}"]


@pytest.mark.parametrize(
    ("partitions", "number", "path"),
    [
        ([ESP, ROOT], 2, "/boot/grub/grub.cfg"),
        ([ESP, BOOT, ROOT], 2, "/grub/grub.cfg"),
        ([ROOT, {**BOOT, "mountPoint": "/srv"}], 1, "/boot/grub/grub.cfg"),
    ],
)
def test_grub_reads_boot_wherever_it_is(partitions: list[dict[str, Any]], number: int, path: str) -> None:
    found = place(*partitions)
    assert (found.number, found.path("/boot/grub/grub.cfg")) == (number, path)
    label = partitions[number - 1]["label"]
    assert early_configuration(found, "/boot/grub") == (
        f"search.fs_uuid {IDENTITY.filesystem(label)} root hd0,gpt{number}\n"
        f"set prefix=($root){path.removesuffix('/grub.cfg')}\n"
    )


@pytest.mark.parametrize(
    ("command_line", "commands"),
    [
        ("quiet", []),
        ("console=tty0", ["terminal_input console", "terminal_output console"]),
        (
            "console=tty0 console=ttyS0,115200n8",
            [
                "serial --unit=0 --speed=115200",
                "terminal_input console serial",
                "terminal_output console serial",
            ],
        ),
        (
            "console=ttyS0 console=ttyS1",
            ["serial --unit=1 --speed=9600", "terminal_input serial", "terminal_output serial"],
        ),
        ("console=ttyAMA0,115200 console=tty0", ["terminal_input console", "terminal_output console"]),
        ("console=ttyS9 console=ttyS0x", ["terminal_input console", "terminal_output console"]),
    ],
)
def test_grub_shows_itself_where_the_kernel_does(command_line: str, commands: list[str]) -> None:
    assert terminals(command_line).commands() == commands


@given(st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\"'\\"), min_size=1)))
def test_what_is_told_to_grub_reaches_the_kernel_as_it_is(words: list[str]) -> None:
    entry = Entry("Linux", "6", "/boot/vmlinuz-6", "/boot/initrd.img-6", " ".join(words))
    found = read_configuration("grub.cfg", configuration(entry, place(ROOT)))
    assert (found.command_line, found.kernel_version) == (" ".join(words), "6")


@pytest.mark.parametrize(
    ("command_line", "words"),
    [
        ('a="b c" d', ["a=b c", "d"]),
        ('"a=b c"  d ', ["a=b c", "d"]),
        ("a=b c", ["a=b", "c"]),
        ("", []),
    ],
)
def test_quotes_are_left_to_grub(command_line: str, words: list[str]) -> None:
    assert kernel_words(command_line) == words


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_a_quoted_word_is_one_word(word: str) -> None:
    assert shlex.split(quoted(word)) == [word]


def test_the_core_is_made_of_what_is_needed_and_what_is_there_of_the_rest() -> None:
    needed = ["ext2", "linux", "normal", "part_gpt", "search_fs_uuid"]
    assert core_modules([*needed, "serial", "zfs"], "x86_64-efi") == sorted([*needed, "serial"])
    with pytest.raises(AssemblyError, match="no module biosdisk for i386-pc"):
        core_modules(needed, "i386-pc")
