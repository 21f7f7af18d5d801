"""Partitions that the machine makes at its first boot: XFS and Btrfs, and what is encrypted with a key of its own.

XFS and Btrfs, because their mkfs programs don't make the same bytes twice; what is encrypted, because a key in an image
is a key of everybody who has the image. Each has a unit, which its mount asks for; encrypted ones have a line in
crypttab, by which systemd opens them from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from image_composer.disk.filesystems import filesystem_label, filesystem_uuid
from image_composer.disk.identity import Identity
from image_composer.disk.unmade import MARK
from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.spec.disk import Encrypt, Partition

SCRIPT = "/usr/lib/image-composer/make-partition"
UNITS = "/etc/systemd/system"

KEYS = "/var/lib/image-composer/keys"
"""Folder of keys that are files; in /var, which machines with an immutable root can write to, too."""


@dataclass(frozen=True, slots=True)
class Unmade:
    """A partition to make."""

    partition: Partition
    partition_uuid: str
    filesystem_uuid: str
    filesystem_label: str


def first_boot_operations(partitions: Sequence[Partition], identity: Identity) -> list[Operation]:
    """Say what to write so that the machine makes those partitions that it has to; nothing when there are none."""
    unmade = [_unmade(partition, identity) for partition in partitions if partition.made_at_first_boot]
    if not unmade:
        return []
    found = [operations.write(SCRIPT, MAKE.replace("@MARK@", MARK), mode=0o755)]
    found += [operations.write(f"{UNITS}/{unit(one.partition)}", unit_text(one)) for one in unmade]
    encrypted = [one for one in unmade if one.partition.encrypt]
    if encrypted:
        found.append(operations.write("/etc/crypttab", "".join(map(crypttab_line, encrypted))))
    for one in encrypted:
        name = unit(one.partition)
        found.append(operations.link(f"{UNITS}/{opener(one.partition)}.requires/{name}", f"{UNITS}/{name}"))
    return found


def check_empty(partitions: Mapping[str, Partition], usages: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse content of a partition that the machine makes.

    Args:
        partitions: those with a mount point, by label.
        usages: inodes, and the top folder's mode, uid and gid of each.

    Raises:
        AssemblyError: ASSEMBLE_NOT_EMPTY.
    """
    for label, partition in partitions.items():
        usage = usages[label]
        is_empty = usage["inodes"] == 1 and (usage["mode"], usage["uid"], usage["gid"]) == (0o755, 0, 0)
        if partition.made_at_first_boot and not is_empty:
            raise AssemblyError(
                "ASSEMBLE_NOT_EMPTY",
                f"packages or users have something at {partition.mount_point}, but the partition {label} that is "
                "mounted there is made at the first boot, empty",
                hint="give it ext4 and no encryption, or another mount point; tmpfiles make folders at every boot",
            )


def mount_options(partition: Partition) -> list[str]:
    """Give what fstab says of a partition beside its options.

    A machine starts without what it can't open, but everything that looks for it comes after it was tried. Trying has
    its own limits: making it may take a slow machine longer than a device otherwise has, see `system.PATIENCE`.
    """
    if not partition.made_at_first_boot:
        return []
    optional = ["nofail", "x-systemd.before=local-fs.target", "x-systemd.device-timeout=infinity"]
    return [*(optional if partition.encrypt else []), f"x-systemd.requires={unit(partition)}"]


def device(partition: Partition) -> str:
    """Give the device of an encrypted partition when it is open."""
    return f"/dev/mapper/{mapper(partition)}"


def mapper(partition: Partition) -> str:
    """Give the name of an encrypted partition when it is open."""
    return f"luks-{partition.label}"


def key_file(partition: Partition) -> str:
    """Give the path of an encrypted partition's key, where that is a file."""
    return f"{KEYS}/{partition.label}.key"


def unit(partition: Partition) -> str:
    """Give the name of the unit that makes a partition."""
    return f"make-{partition.label}.service"


def opener(partition: Partition) -> str:
    """Give the name of the unit that systemd makes of the line in crypttab."""
    return f"systemd-cryptsetup@{_escaped(mapper(partition))}.service"


def crypttab_line(one: Unmade) -> str:
    """Give the line that opens a partition, see crypttab(5); nobody is ever asked for a password."""
    source = f"PARTUUID={one.partition_uuid}"
    if one.partition.encrypt is Encrypt.TPM2:
        return f"{mapper(one.partition)} {source} - luks,tpm2-device=auto,headless=1,nofail\n"
    return f"{mapper(one.partition)} {source} {key_file(one.partition)} luks,headless=1,nofail\n"


def unit_text(one: Unmade) -> str:
    """Give the unit that makes a partition before it is opened or mounted."""
    place = f"/dev/disk/by-partuuid/{one.partition_uuid}"
    words = [place, str(one.partition.filesystem), one.filesystem_uuid, one.filesystem_label]
    before, needs = "local-fs.target shutdown.target", ""
    if one.partition.encrypt:
        before = f"{opener(one.partition)} {before}"
        is_file = one.partition.encrypt is Encrypt.KEY_FILE
        needs = f"RequiresMountsFor={KEYS}\n" if is_file else ""
        words += [mapper(one.partition), key_file(one.partition) if is_file else str(one.partition.encrypt)]
    return f"""\
[Unit]
Description=Make the partition {one.partition.label} at the first boot
DefaultDependencies=no
Requires={_escaped(place)}.device
After={_escaped(place)}.device systemd-remount-fs.service systemd-repart.service
{needs}Before={before}
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
StandardError=journal+console
ExecStart={SCRIPT} {" ".join(words)}
"""


def _unmade(partition: Partition, identity: Identity) -> Unmade:
    return Unmade(
        partition,
        str(identity.partition(partition.label)),
        filesystem_uuid(partition.filesystem, partition.label, identity),
        filesystem_label(partition.filesystem, partition.label),
    )


def _escaped(path: str) -> str:
    """Give a path or a name as names of units hold it, see systemd.unit(5)."""
    return path.strip("/").replace("-", r"\x2d").replace("/", "-")


MAKE = r"""#!/bin/sh
# Makes the file system of a partition that holds nothing but the mark of one that is still to be made.
# Arguments: device, file system, its UUID and label; for an encrypted one its name when open, and 'tpm2' or a key file.
set -eu
umask 077
device=$1 filesystem=$2 uuid=$3 label=$4 mapper=${5:-} key=${6:-}
mark='@MARK@'
[ "$(head -c ${#mark} "$device" | tr -d '\000')" = "$mark" ] || exit 0

secret=/run/$mapper.key
finish() {
    status=$?
    trap - EXIT
    if [ -n "$mapper" ]; then
        [ ! -e "/dev/mapper/$mapper-new" ] || cryptsetup close "$mapper-new" || :
        rm -f "$secret"
    fi
    # What failed is tried again at the next start.
    [ "$status" = 0 ] || printf %s "$mark" | dd of="$device" conv=notrunc,fsync status=none
    exit "$status"
}
trap finish EXIT

make() {
    case $filesystem in
        ext4) mkfs.ext4 -q -F -U "$uuid" -L "$label" "$1" ;;
        xfs) mkfs.xfs -q -f -m "uuid=$uuid" -L "$label" "$1" ;;
        btrfs) mkfs.btrfs -q -f -U "$uuid" -L "$label" "$1" ;;
    esac
}

if [ -z "$mapper" ]; then
    make "$device"
    exit
fi

if [ "$key" = tpm2 ]; then
    waited=0
    until [ -c /dev/tpmrm0 ]; do
        if [ "$waited" = 10 ]; then
            echo "this machine has no TPM 2.0: the encrypted partition $mapper is not made, and not there" >&2
            exit 1
        fi
        sleep 1
        waited=$((waited + 1))
    done
    head -c 64 /dev/urandom >"$secret"
else
    mkdir -p "${key%/*}"
    if [ ! -s "$key" ]; then
        head -c 64 /dev/urandom >"$key.new"
        sync "$key.new"
        mv "$key.new" "$key"
        sync "${key%/*}"
    fi
    cp "$key" "$secret"
fi

# The key is as random as keys can be: no slow derivation makes it better.
cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
    --label "$label" --key-file "$secret" "$device"
if [ "$key" = tpm2 ]; then
    systemd-cryptenroll --unlock-key-file="$secret" --tpm2-device=auto --tpm2-pcrs=7 "$device"
fi
cryptsetup open --type luks2 --key-file "$secret" "$device" "$mapper-new"
make "/dev/mapper/$mapper-new"
cryptsetup close "$mapper-new"
if [ "$key" = tpm2 ]; then
    systemd-cryptenroll --wipe-slot=password "$device"
fi
"""
"""The program that makes them."""
