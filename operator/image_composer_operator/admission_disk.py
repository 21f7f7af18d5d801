"""What the API server holds disks, outputs, Secure Boot and installers to; see `admission`."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.spec.rules import COMPRESSED_INSIDE
from image_composer.spec.rules_disk import ENCRYPTED, NEVER_EMPTY, NEVER_MOUNTED
from image_composer_operator.cel import CERTIFICATE, NO_DOTS, exactly_once, once
from image_composer_operator.structural import Refinement, Rule

DISK: Mapping[str, Refinement] = {
    "BootLoader": Refinement(
        rules=[
            Rule(
                rule="self.type == 'grub' || self.firmware == 'uefi'",
                message="must be 'uefi': systemd-boot starts on no other; a BIOS needs type 'grub'",
                field_path=".firmware",
            )
        ]
    ),
    "Disk": Refinement(
        rules=[
            Rule(
                rule="has(self.size) || !has(self.partitions)"
                " || !self.partitions.exists(one, has(one.size) && one.size.endsWith('%'))",
                message="a partition's size is a share of the disk, whose size (disk.size) is missing",
                field_path=".partitions",
            )
        ]
    ),
    "Disk.partitions": Refinement(
        rules=[
            once("label"),
            once("mountPoint"),
            exactly_once("root", "a root partition"),
            Rule(
                rule="self.size() == 0 || self.filter(partition, partition.grow).size()"
                " == (self[self.size() - 1].grow ? 1 : 0)",
                message="only the last partition can grow",
            ),
        ]
    ),
    "Partition": Refinement(
        rules=[
            Rule(
                rule="self.type != 'root-verity' && self.filesystem != 'verity'",
                message="holds the hashes of an immutable root, and is added by the composer itself",
            ),
            Rule(
                rule="self.type != 'bios-boot' && self.filesystem != 'grub'",
                message="holds what a BIOS starts of GRUB, and is added by the composer itself",
            ),
            Rule(
                rule="self.type == 'root' || !(self.filesystem in ['squashfs', 'erofs'])",
                message="is read-only: for the root of an immutable image, and nothing else",
                field_path=".filesystem",
            ),
            Rule(
                rule="(self.type == 'esp') == (self.filesystem == 'vfat')",
                message="must be vfat on the EFI system partition, and only there",
                field_path=".filesystem",
            ),
            Rule(
                rule="(self.type == 'swap') == (self.filesystem == 'swap')",
                message="must be swap on partitions of type swap, and only there",
                field_path=".filesystem",
            ),
            Rule(
                rule=f"!has(self.encrypt) || self.filesystem in {[*map(str, ENCRYPTED)]}",
                message=f"needs one of the file systems {', '.join(ENCRYPTED)}",
                field_path=".encrypt",
            ),
            Rule(
                rule="has(self.mountPoint) || self.type == 'swap'"
                " || !(has(self.encrypt) || self.filesystem in ['xfs', 'btrfs'])",
                message="is missing: the machine makes this file system to mount it",
                field_path=".mountPoint",
            ),
            Rule(
                rule="!has(self.mountPoint) || !(has(self.encrypt) || self.filesystem in ['xfs', 'btrfs'])"
                f" || !(self.mountPoint in {sorted(NEVER_EMPTY)})",
                message="is made at the first boot, empty, and can't be mounted where every image has something",
            ),
            Rule(
                rule="self.type != 'swap' || (has(self.size) && !has(self.mountPoint) && !self.grow)",
                message="swap needs a size, is mounted nowhere and can't grow",
            ),
            Rule(
                rule="(self.type == 'root') == (has(self.mountPoint) && self.mountPoint == '/')",
                message="must be / on the root partition, and only there",
                field_path=".mountPoint",
            ),
            Rule(
                rule="!self.grow || self.filesystem != 'vfat'",
                message="vfat can't grow",
                field_path=".grow",
            ),
        ]
    ),
    "Partition.mountPoint": Refinement(
        rules=[
            NO_DOTS,
            Rule(
                rule=f"!self.matches(r'^/({'|'.join(sorted(NEVER_MOUNTED))})(/|$)')",
                message=f"nothing can be mounted at or below /{', /'.join(sorted(NEVER_MOUNTED))}",
                message_expression="'nothing can be mounted at or below /' + self.split('/')[1]",
            ),
        ]
    ),
    "ImageSpec.outputs": Refinement(
        rules=[Rule("self.all(item, self.exists_one(other, other == item))", "an output is there twice")]
    ),
    "Output": Refinement(
        rules=[
            Rule(
                rule=f"!(self.format in {sorted(map(str, COMPRESSED_INSIDE))}) || self.compression == 'none'",
                message=f"must be 'none': {', '.join(sorted(COMPRESSED_INSIDE))} are compressed inside already",
                field_path=".compression",
            )
        ]
    ),
    "SecureBoot.certificate": Refinement(
        rules=[
            Rule(
                "!self.contains('PRIVATE KEY')",
                "holds a private key, which must never stand in a document; give the certificate alone",
            ),
            Rule(
                rule=f"self.matches({CERTIFICATE}) || self.contains('PRIVATE KEY')",
                message="must be one certificate in PEM, between BEGIN CERTIFICATE and END CERTIFICATE",
            ),
        ]
    ),
    "Installer": Refinement(
        rules=[
            Rule(
                rule="self.target.rule != 'ask' || !self.overwrite",
                message="is without use: who is asked for the disk is asked about what is on it too",
                field_path=".overwrite",
            )
        ]
    ),
    "InstallTarget": Refinement(
        rules=[
            Rule(
                rule="has(self.value) == (self.rule in ['serial', 'path'])",
                message="a value belongs to the rules 'serial' and 'path', and only to these",
            ),
            Rule(
                rule="self.rule != 'path' || !has(self.value) || self.value.startsWith('/dev/')",
                message="must be a path below /dev",
                field_path=".value",
            ),
        ]
    ),
}
"""Rules, by the place they stand at."""
