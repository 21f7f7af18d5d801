"""What a root that can't be written to needs: places for what the machine writes, and /etc over which it can.

/home, /root and /srv lie in /var and are bound to their places. /etc is an overlay, made in the initramfs before
anything of the system reads it: what is changed lies in /var, or in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from image_composer.disk.immutable import VAR
from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.spec.disk import Partition
from image_composer.spec.trusted import EtcChanges

MOVED = ("/home", "/root", "/srv")
"""Folders that people and services write to, beside /var; they lie in /var unless they have a partition."""

STATE = "/var/lib/image-composer"
ETC = f"{STATE}/etc"
"""Holds what was changed in /etc, when it is kept."""

IDENTITY = f"{STATE}/identity"
"""Holds what tells one machine from another, when changes to /etc are not kept."""

DRACUT_MODULE = "systemd-veritysetup"
DRIVERS = ("overlay", "loop")
"""Kernel modules that the initramfs needs beside those that dracut brings for dm-verity."""

INITRD_TREE = "initrd-tree"
"""Folder in the exchange folder that dracut puts into the initramfs."""

CHECKERS = ("fsck", "fsck.ext4", "e2fsck")
"""Programs that the initramfs needs for /var."""

ROOT_CHECK = "systemd-fsck@dev-mapper-root.service"
"""Would fail, as it can't write; dm-verity checks every block that is read."""

UNIT = "image-composer-etc.service"
VAR_UNIT = "sysroot-var.mount"
KEEP_UNIT = "keep-identity.service"


def var_folder(path: str) -> str:
    """Give where in /var a folder lies: `/root` at `/var/roothome`, as elsewhere, the others by their names."""
    return "/var/roothome" if path == "/root" else f"/var{path}"


def movable(partitions: Sequence[Partition]) -> list[str]:
    """Give the folders that lie in /var, unless the distribution has put a link in their place."""
    own = {partition.mount_point for partition in partitions}
    return [path for path in MOVED if path not in own]


def immutable_operations(moved: Sequence[str], etc: EtcChanges) -> list[Operation]:
    """Say what to change in a finished root, so that it works without being written to.

    Args:
        moved: folders that lie in /var.
        etc: what becomes of changes to /etc.
    """
    found: list[Operation] = [operations.move_content(path, var_folder(path)) for path in moved]
    if etc is EtcChanges.PERSISTENT:
        return [*found, operations.folder(f"{ETC}/upper"), operations.folder(f"{ETC}/work")]
    wants = "/etc/systemd/system/multi-user.target.wants"
    return [
        *found,
        operations.folder(IDENTITY),  # its mode becomes that of /etc
        operations.write(f"/etc/systemd/system/{KEEP_UNIT}", KEEP_IDENTITY),
        operations.link(f"{wants}/{KEEP_UNIT}", f"/etc/systemd/system/{KEEP_UNIT}"),
    ]


def mount_lines(moved: Sequence[str]) -> list[str]:
    """Give lines of fstab beside those of partitions: folders that lie in /var, and memory for /tmp."""
    bound = [f"{var_folder(path)} {path} none bind,x-systemd.requires-mounts-for=/var 0 0" for path in moved]
    return [*bound, "tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0"]


@dataclass(frozen=True, slots=True)
class Early:
    """What the initramfs has to do for an immutable root."""

    etc: EtcChanges
    """What becomes of changes to /etc."""

    var_uuid: str
    """Id of /var's file system, as blkid tells it."""

    var: Partition
    """The partition that holds /var."""


def early(mounts: Mapping[str, Partition], etc: EtcChanges) -> Early:
    """Say what the initramfs has to do.

    Args:
        mounts: partitions with a mount point, by the id of their file system.
        etc: what becomes of changes to /etc.
    """
    uuid, partition = next(item for item in mounts.items() if item[1].mount_point == VAR)
    return Early(etc, uuid, partition)


def initrd_operations(folder: str, wanted: Early) -> list[Operation]:
    """Say what the initramfs gets, which dracut takes from a folder."""
    units = f"{folder}/etc/systemd/system"
    return [
        operations.write(f"{units}/{VAR_UNIT}", var_unit(wanted)),
        operations.write(f"{units}/{ROOT_CHECK}.d/unneeded.conf", "[Service]\nExecStart=\nExecStart=/bin/true\n"),
        operations.write(f"{units}/{UNIT}", PERSISTENT if wanted.etc is EtcChanges.PERSISTENT else VOLATILE),
        operations.link(f"{units}/initrd-fs.target.wants/{UNIT}", f"../{UNIT}"),
    ]


def var_unit(wanted: Early) -> str:
    """Give the unit that mounts /var in the initramfs, before anything of the system looks for it."""
    device = f"/dev/disk/by-uuid/{wanted.var_uuid}"
    check = f"systemd-fsck@{_escaped(device)}.service"
    return f"""\
[Unit]
Description=/var, for what is changed in /etc
DefaultDependencies=no
Wants={check}
After={check} initrd-root-fs.target
Before=initrd-fs.target

[Mount]
What={device}
Where=/sysroot{VAR}
Type={wanted.var.filesystem}
Options={wanted.var.mount_options}
"""


def _escaped(path: str) -> str:
    """Give a path as names of units hold it, see systemd.unit(5)."""
    return path.strip("/").replace("-", r"\x2d").replace("/", "-")


HEADER = """\
[Unit]
Description=Writable /etc over the read-only root
DefaultDependencies=no
ConditionPathExists=/etc/initrd-release
Requires=sysroot-var.mount
After=initrd-root-fs.target initrd-parse-etc.service sysroot-var.mount
Before=initrd-fs.target initrd-cleanup.service initrd-switch-root.target

[Service]
Type=oneshot
RemainAfterExit=yes
"""

PERSISTENT = f"""{HEADER}\
ExecStart=/bin/mount -t overlay overlay /sysroot/etc \
-o lowerdir=/sysroot/etc,upperdir=/sysroot{ETC}/upper,workdir=/sysroot{ETC}/work
"""

VOLATILE = f"""{HEADER}\
ExecStart=/bin/mkdir -p /run/image-composer/etc/upper /run/image-composer/etc/work
ExecStart=/bin/mount -t overlay overlay /sysroot/etc \
-o lowerdir=/sysroot/etc,upperdir=/run/image-composer/etc/upper,workdir=/run/image-composer/etc/work
ExecStart=-/bin/sh -c 'cp -a /sysroot{IDENTITY}/. /sysroot/etc/'
"""

KEEP_IDENTITY = f"""\
[Unit]
Description=Keep what tells this machine from others
After=ssh-host-keys.service systemd-machine-id-commit.service
RequiresMountsFor={IDENTITY}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'cd /etc && for file in machine-id ssh/ssh_host_*; do \
[ ! -s "$file" ] || {{ mkdir -p {IDENTITY}/$(dirname "$file") && cp -a "$file" {IDENTITY}/"$file"; }}; done'

[Install]
WantedBy=multi-user.target
"""
