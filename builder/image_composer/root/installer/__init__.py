"""The installer: what the image's own initramfs gets beside its content, so that it writes the image to a disk.

A second archive with a target for systemd, the script that does the work, and the programs that dracut doesn't take.
Docs: docs/iso.md.
"""

from __future__ import annotations

from pathlib import Path

from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.root.sandbox import BARE_EXCHANGE, EXCHANGE, Sandbox

SCRIPT = Path(__file__).with_name("install.sh")

NAME = "installer.cpio"
"""File in the exchange folder."""

TARGET = "image-installer.target"
"""What systemd starts in the initramfs instead of looking for a root."""

DRIVERS = ("isofs", "cdrom", "sr_mod", "usb_storage", "uas")
"""Kernel modules that the medium is read with; dracut takes them anyway where they are modules of a generic image."""

PROGRAMS = (
    *("blkid", "dd", "sfdisk", "sha256sum", "zstd"),
    *("cat", "ls", "mkdir", "mkfifo", "mount", "readlink", "rm", "sleep", "sync", "umount"),
)
"""Programs that the script runs; each is there when the image has its packages. What every initramfs with systemd has
(sh, systemctl, udevadm) is left out."""

DRACUT_INSTALL = "/usr/lib/dracut/dracut-install"
"""Copies programs with all libraries that they need."""

_TREE = "installer-tree"
_PLACE = "/usr/lib/image-installer/install"

_TARGET_TEXT = """\
[Unit]
Description=Installer
Requires=sysinit.target image-installer.service
After=sysinit.target
AllowIsolate=yes
"""

_SERVICE_TEXT = f"""\
[Unit]
Description=Write the image of the medium to a disk
DefaultDependencies=no
After=sysinit.target systemd-udev-trigger.service
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/sh {_PLACE}
StandardInput=null
StandardOutput=journal
StandardError=journal
"""


def make_installer(sandbox: Sandbox) -> None:
    """Leave the archive in the exchange folder.

    Raises:
        ToolError: a program that it needs isn't in the root.
    """
    tree = f"{EXCHANGE}/{_TREE}"
    sandbox.act("apply", system=True, exchange=True, operations=installer_operations(tree))
    sandbox.run([DRACUT_INSTALL, "--destrootdir", tree, "--ldd", "--all", *PROGRAMS])
    sandbox.act("archive", exchange=True, tree=f"{BARE_EXCHANGE}/{_TREE}", file=f"{BARE_EXCHANGE}/{NAME}")


def installer_operations(tree: str) -> list[Operation]:
    """Say what the archive holds beside programs; all below /etc and /usr, where every initramfs has folders."""
    return [
        operations.remove(tree),
        operations.write(f"{tree}/etc/systemd/system/{TARGET}", _TARGET_TEXT),
        operations.write(f"{tree}/etc/systemd/system/image-installer.service", _SERVICE_TEXT),
        operations.write(f"{tree}{_PLACE}", SCRIPT.read_bytes(), mode=0o755),
    ]
