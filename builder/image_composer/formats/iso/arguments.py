"""What the installer is told, by the kernel's command line: so a signature on the boot image covers the disk too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from image_composer.disk.identity import Identity
from image_composer.spec.outputs import Installer, InstallRule

TARGET = "image-installer.target"
"""Unit of the initramfs, see root/installer."""


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What the installer must know of the disk on the medium."""

    title: str
    """Name and version of the image."""

    size: int
    """Bytes, unpacked."""

    digest: str
    """SHA-256 of them."""

    packed_size: int
    """Bytes of the file on the medium."""

    packed_digest: str
    """SHA-256 of it: what can be told before anything is written, without unpacking all twice."""

    grow: int | None
    """Number of the partition that takes the rest of a larger disk."""


def volume_label(identity: Identity) -> str:
    """Give the medium's name, by which the installer finds it: ISO 9660 has room for 32 capitals and digits."""
    return f"INSTALL_{identity.uuid('iso').hex[:16].upper()}"


def installer_arguments(own: Sequence[str], settings: Installer, facts: DiskFacts, label: str) -> list[str]:
    """Give the kernel's command line.

    Args:
        own: arguments of the image's kernel, but for those that lead to its root.
        settings: of the spec.
        facts: of the disk.
        label: of the medium.
    """
    return [
        *own,
        f"rd.systemd.unit={TARGET}",
        # Nothing looks for a root, and systemd leaves the consoles to the installer.
        "rd.systemd.gpt_auto=no",
        "systemd.show_status=no",
        "quiet",
        f"installer.title={facts.title}",
        f"installer.medium={label}",
        f"installer.size={facts.size}",
        f"installer.sha256={facts.digest}",
        f"installer.packed-size={facts.packed_size}",
        f"installer.packed-sha256={facts.packed_digest}",
        *([f"installer.grow={facts.grow}"] if facts.grow is not None else []),
        f"installer.target={_target(settings)}",
        f"installer.overwrite={'yes' if settings.overwrite else 'no'}",
        f"installer.when-done={settings.when_done}",
    ]


def _target(settings: Installer) -> str:
    target = settings.target
    return f"{target.rule}:{target.value}" if target.rule in (InstallRule.SERIAL, InstallRule.PATH) else target.rule
