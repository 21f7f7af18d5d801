"""Settings of the whole system: host name, mounts, growth at first boot, and what must not be in an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from image_composer.disk import verity
from image_composer.root import first_boot, operations
from image_composer.root.immutable import mount_lines
from image_composer.root.operations import Operation
from image_composer.spec.disk import Filesystem, Partition, PartitionType
from image_composer.spec.network import HostEntry

LEFTOVERS = (
    "/var/log/*.log", "/var/log/apt/*", "/var/log/journal/*", "/var/cache/ldconfig/aux-cache",
    "/var/cache/debconf/*-old", "/var/lib/dpkg/*-old", "/var/lib/dpkg/lock*", "/var/lib/dpkg/triggers/Lock",
    "/var/cache/apt/*.bin", "/var/cache/apt/archives/*.deb", "/var/lib/apt/lists/*_*",
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
    "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/dbus/machine-id",
    "/etc/ssh/ssh_host_*", "/root/.bash_history", "/boot/initrd*", "/initrd.img*",
    "/run/*", "/tmp/*", "/tmp/.*", "/var/tmp/*",  # noqa: S108 - patterns of the image
)  # fmt: skip
"""What installing leaves behind and no two machines may share, or no two builds would have alike."""

GROWING = (Filesystem.EXT4, Filesystem.XFS, Filesystem.BTRFS)
"""File systems that systemd-growfs grows while they are mounted."""

PATIENCE = ("/usr/lib/systemd/system.conf.d/40-image-composer.conf", "[Manager]\nDefaultDeviceTimeoutSec=5min\n")
"""Path and text of how long a start waits for a device, see systemd-system.conf(5).

Systemd's own 90 seconds pass while an emulated processor loads the modules of all devices: a machine then gave up a
partition or the serial console that it had, and sat in emergency mode.
"""

EMPTIED = ("/var/log/lastlog", "/var/log/faillog", "/var/log/btmp", "/var/log/wtmp")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of fstab."""

    uuid: str
    """File system id as blkid tells it."""

    partition: Partition


def system_operations(
    hostname: str,
    mounts: Sequence[Mount],
    partitions: Sequence[Partition],
    *,
    moved: Sequence[str] | None = None,
    known_hosts: Sequence[HostEntry] = (),
) -> list[Operation]:
    """Say what to write for host name and mounts.

    Args:
        hostname: of the machine.
        mounts: partitions with a mount point, and those for swap.
        partitions: all of the disk, in order.
        moved: of a root that is never written to, the folders that lie in /var.
        known_hosts: names that the machine knows by itself.
    """
    return [
        operations.write("/etc/hostname", f"{hostname}\n"),
        operations.write("/etc/hosts", hosts(hostname, known_hosts)),
        operations.write("/etc/fstab", fstab(mounts, moved=moved)),
        operations.write(*PATIENCE),
        *growth_operations(partitions),
        *(
            operations.mount_point(mount.partition.mount_point or "/")
            for mount in mounts
            if mount.partition.mount_point not in (None, "/")
        ),
    ]


def final_operations() -> list[Operation]:
    """Say what to take away, after the last program has run in the root."""
    return [
        *(operations.remove(pattern) for pattern in LEFTOVERS),
        *(operations.truncate(path) for path in EMPTIED),
        operations.write("/etc/machine-id", "", mode=0o444),
    ]


def hosts(hostname: str, known: Sequence[HostEntry] = ()) -> str:
    """Give the text of /etc/hosts; 127.0.1.1 is Debian's way to make the own name known without a network."""
    short = hostname.split(".", maxsplit=1)[0]
    names = hostname if short == hostname else f"{hostname} {short}"
    further = "".join(f"{entry.address} {' '.join(entry.names)}\n" for entry in known)
    return f"127.0.0.1 localhost\n127.0.1.1 {names}\n{further}\n::1 localhost ip6-localhost ip6-loopback\n"


def fstab(mounts: Sequence[Mount], *, moved: Sequence[str] | None = None) -> str:
    """Give the text of /etc/fstab, parents before what is mounted below them.

    Args:
        mounts: partitions with a mount point, and those for swap, which has the first lines.
        moved: of a root that is never written to, the folders that lie in /var; the root is then what dm-verity makes
            of its partition.
    """
    lines = ["# <device> <mount point> <type> <options> <dump> <pass>"]
    for mount in sorted(mounts, key=lambda mount: mount.partition.mount_point or ""):
        partition = mount.partition
        options = ",".join([partition.mount_options, *first_boot.mount_options(partition)])
        if partition.grow and partition.filesystem in GROWING and partition.encrypt is None:
            options += ",x-systemd.growfs"
        check = 1 if partition.mount_point == "/" else 2 if partition.filesystem is Filesystem.EXT4 else 0
        device = first_boot.device(partition) if partition.encrypt else f"UUID={mount.uuid}"
        if moved is not None and partition.mount_point == "/":
            check, device = 0, verity.DEVICE
        lines.append(f"{device} {partition.mount_point or 'none'} {partition.filesystem} {options} 0 {check}")
    if moved is not None:
        lines += mount_lines(moved)
    return "\n".join(lines) + "\n"


def growth_operations(partitions: Sequence[Partition]) -> list[Operation]:
    """Say what makes systemd-repart grow the partition that asks for it, see repart.d(5).

    repart matches definitions to partitions by type and in order, so every partition before it has one too. It leaves
    alone what it knows no definition of. Of what has one it wants 10 MiB unless told otherwise, even if it is there
    already and smaller, as hashes are: then it refuses the whole disk.
    """
    if not any(partition.grow for partition in partitions):
        return []
    found = []
    for number, partition in enumerate(partitions):
        if partition.type not in REPART_TYPES:
            continue
        weight = "" if partition.grow else "Weight=0\nPaddingWeight=0\n"
        name = REPART_TYPES[partition.type]
        text = f"[Partition]\nType={name}\nLabel={partition.label}\nSizeMinBytes=1M\n{weight}"
        found.append(operations.write(f"/etc/repart.d/{10 + number}-{partition.label}.conf", text))
    return found


REPART_TYPES: Mapping[PartitionType, str] = {
    PartitionType.ESP: "esp",
    PartitionType.ROOT: "root",
    PartitionType.ROOT_VERITY: "root-verity",
    PartitionType.HOME: "home",
    PartitionType.SRV: "srv",
    PartitionType.VAR: "var",
    PartitionType.LINUX: "linux-generic",
    PartitionType.SWAP: "swap",
}
"""repart.d(5)'s names of partition types; it has none for GRUB's."""
