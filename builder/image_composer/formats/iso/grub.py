"""How a BIOS starts the installer: GRUB, which reads kernel and initramfs from the medium."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from image_composer.disk.tools import ToolRunner
from image_composer.errors import ToolError

MODULES_FOLDER = Path("/usr/lib/grub/i386-pc")
"""Where every distribution keeps GRUB for BIOS."""

BOOT_SECTOR = MODULES_FOLDER / "boot_hybrid.img"
"""What a BIOS starts on a USB stick."""

MODULES = (
    *("biosdisk", "iso9660", "part_gpt", "part_msdos", "search", "search_label"),
    *("normal", "configfile", "linux", "serial", "terminal", "test", "echo"),
)

SECONDS = 3
"""How long the menu waits for somebody."""


def write_bios_image(destination: Path, label: str, *, tools: ToolRunner) -> None:
    """Write the program that a BIOS starts.

    Args:
        destination: file to make.
        label: of the medium.
        tools: runs grub-mkimage.

    Raises:
        ToolError: GRUB is missing or failed.
    """
    if not BOOT_SECTOR.exists():
        raise ToolError(
            "TOOL_MISSING",
            f"{BOOT_SECTOR} is missing: an installer ISO needs GRUB for BIOS",
            hint="install it: Debian grub-pc-bin, Fedora grub2-pc-modules",
        )
    early = destination.with_name("early.cfg")
    early.write_text(f"search --no-floppy --set=root --label {label}\nset prefix=($root)/boot/grub\n")
    form = ("-O", "i386-pc-eltorito", "-d", MODULES_FOLDER, "-p", "/boot/grub")
    tools.run(["grub-mkimage", *form, "-c", early, "-o", destination, *MODULES])


def menu(title: str, arguments: Sequence[str]) -> str:
    """Give GRUB's menu.

    Args:
        title: of the image.
        arguments: of the kernel.
    """
    line = " ".join(_quoted(word) for argument in arguments for word in argument.split())
    return f"""\
if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
set timeout={SECONDS}
set default=0
{_entry(f"Install {title}", line)}
{_entry(f"Install {title}, asking for the disk", f"{line} installer.target=ask")}
"""


def _entry(title: str, line: str) -> str:
    return f"""menuentry '{title}' {{
  echo 'Loading the installer ...'
  linux /boot/kernel {line}
  initrd /boot/initrd
}}"""


def _quoted(word: str) -> str:
    """Give a word that GRUB's shell takes as it is."""
    return "'" + word.replace("'", r"'\''") + "'"
