"""What a machine needs to bring itself to the image's next version: systemd-sysupdate's transfers, see sysupdate.d(5).

Root and hashes go into the slot that is not running, the kernel image goes last: until it is there, nothing starts the
new version. Its name counts down three tries; a version that never came up is passed over then.
"""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.disk.gpt_types import type_guid
from image_composer.disk.immutable import hash_label, slot_name
from image_composer.formats.naming import COMPRESSION_EXTENSIONS, kernel_stem, part_stem
from image_composer.repository.keyring import keyring
from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.spec.disk import Partition, PartitionType
from image_composer.spec.image import ImageSpec
from image_composer.spec.outputs import Compression, OutputFormat
from image_composer.spec.trusted import Update, UpdateTrust

FOLDER = "/usr/lib/sysupdate.d"
KEYRING = "/usr/lib/systemd/import-pubring.gpg"
"""Keys that systemd-sysupdate believes. The package brings those of distributions that have nothing to do with us."""

TRIES = 3
"""How often a new version is started before the older one is."""

UNPACKED = (Compression.NONE, Compression.XZ, Compression.GZIP)
"""Compressions that systemd-sysupdate unpacks in every version that we know; zstd it does not."""


def update_operations(spec: ImageSpec, update: Update, partitions: Sequence[Partition]) -> list[Operation]:
    """Say what to write so that the machine can update itself.

    Args:
        spec: of the image.
        update: where from.
        partitions: of the disk.
    """
    root = next(partition for partition in partitions if partition.type is PartitionType.ROOT)
    slots = (
        ("10-root-verity", OutputFormat.ROOT_VERITY, hash_label(root.label), PartitionType.ROOT_VERITY),
        ("20-root", OutputFormat.ROOT, root.label, PartitionType.ROOT),
    )
    found = [
        _transfer(name, spec, update, part, _slot_target(label, str(type_guid(kind, spec.target.architecture))))
        for name, part, label, kind in slots
    ]
    found.append(_transfer("30-uki", spec, update, OutputFormat.UKI, _kernel_target(kernel_stem(spec.name, "@v"))))
    if update.key is not None:
        found.append(operations.write(KEYRING, keyring([update.key.encode()], "of updates")))
    return found


def with_image_version(os_release: str, spec: ImageSpec) -> str:
    """Give the text of os-release with the image's own name and version, by which boot loader and updates compare.

    Args:
        os_release: the distribution's text.
        spec: of the image.
    """
    lines = [line for line in os_release.splitlines() if not line.startswith(("IMAGE_ID=", "IMAGE_VERSION="))]
    return "\n".join([*lines, f'IMAGE_ID="{spec.name}"', f'IMAGE_VERSION="{spec.version}"']) + "\n"


def _transfer(name: str, spec: ImageSpec, update: Update, part: OutputFormat, target: str) -> Operation:
    stem = part_stem(spec.name, "@v", spec.target.architecture, part, "@u")
    patterns = " ".join(f"{stem}{COMPRESSION_EXTENSIONS[compression]}" for compression in UNPACKED)
    trusted = "yes" if update.verify is UpdateTrust.SIGNATURE else "no"
    text = f"""\
[Transfer]
ProtectVersion=%A
Verify={trusted}

[Source]
Type=url-file
Path={update.url.replace("%", "%%")}
MatchPattern={patterns}

[Target]
{target}InstancesMax=2
"""
    return operations.write(f"{FOLDER}/{name}.transfer", text)


def _slot_target(label: str, kind: str) -> str:
    return f"""\
Type=partition
Path=auto
MatchPattern={slot_name(label, "@v")}
MatchPartitionType={kind}
PartitionFlags=0
ReadOnly=1
"""


def _kernel_target(stem: str) -> str:
    return f"""\
Type=regular-file
Path=/EFI/Linux
PathRelativeTo=boot
MatchPattern={stem}+@l-@d.efi {stem}+@l.efi {stem}.efi
Mode=0444
TriesLeft={TRIES}
TriesDone=0
"""
