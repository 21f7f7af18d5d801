"""What the API server holds ImageBuilds to beyond each field's own form: the composer's rules, said in CEL.

A user learns from `kubectl apply` what `image-composer validate` would have said. The composer's own check
(`image_composer.spec.rules`) stays the authority: the operator runs it again, and it knows what CEL can't say:

- two versions of one package: CEL has no way to compare a thousand names with each other at the price it may cost;
- whether an SSH key's or a certificate's content is whole, and whether firmware takes the certificate's key;
- whether a disk's size, a text with a unit, is more than a format can hold or less than its partitions take;
- whether anything comes from the server in `inputs.s3`: what a document builds on may bring it;
- what a distribution can do.

An expression may cost a million units when it is evaluated, and ten million by the API server's estimate, which takes
every list for as long as it may be: https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints
"""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.spec.disk import BIOS_BOOT_LABEL
from image_composer.spec.source import SOURCE
from image_composer_operator.admission_disk import DISK
from image_composer_operator.cel import (
    ARMOURED,
    BROKEN_HASH,
    COMPARISONS,
    GRUB_WORD,
    HASH,
    NO_DOTS,
    PART_FORMATS,
    RANGE,
    REQUEST,
    SSH_KEY,
    WILDCARD,
    exactly_one,
    once,
    one_source,
)
from image_composer_operator.reasons import Reason
from image_composer_operator.structural import Refinement, Rule

SHOWN_CERTIFICATES = Rule(
    rule="!has(self.caBundle) || !has(self.endpoint) || !self.endpoint.startsWith('http:')",
    message="is without use: the endpoint is http, where no certificate is shown",
    field_path=".caBundle",
)

CERTIFICATES = [
    Rule("!self.contains('PRIVATE KEY')", "holds a private key; give certificates only"),
    Rule(
        rule="self.contains('-----BEGIN CERTIFICATE-----') && self.contains('-----END CERTIFICATE-----')"
        " || self.contains('PRIVATE KEY')",
        message="must be certificates in PEM, each between BEGIN CERTIFICATE and END CERTIFICATE",
    ),
]

ADDRESS = Refinement(pattern=SOURCE)

SPEC: Mapping[str, Refinement] = {
    "ImageBuildSpec": Refinement(
        rules=[
            Rule(
                rule="!has(self.secureBoot) || has(self.image.secureBoot)",
                message="is without use: image.secureBoot says for what",
                field_path=".secureBoot",
            ),
        ]
    ),
    "ImageSpec": Refinement(
        rules=[
            Rule(
                rule=f"!has(self.packages) || !has(self.excludePackages)"
                f" || self.packages.size() * self.excludePackages.size() > {COMPARISONS}"
                f" || self.packages.all(wanted, !(wanted.split('=')[0] in self.excludePackages))",
                message="a package is excluded, but the spec asks for it",
                message_expression="self.packages.map(wanted, wanted.split('=')[0])"
                ".filter(name, name in self.excludePackages)[0] + ' is excluded, but the spec asks for it'",
                field_path=".excludePackages",
            ),
            Rule(
                # A reserved word of CEL has underscores around it.
                rule="!has(self.kernel) || !has(self.kernel.__package__) || !has(self.excludePackages)"
                " || !(self.kernel.__package__ in self.excludePackages)",
                message="the kernel's package is excluded, but the spec asks for it",
                message_expression="self.kernel.__package__ + ' is excluded, but the spec asks for it'",
                field_path=".excludePackages",
            ),
            Rule(
                rule="self.mutability == 'immutable' || !has(self.immutable)"
                " || (self.immutable.etc == 'persistent' && !has(self.immutable.update))",
                message="is without use: mutability is 'mutable'",
                field_path=".immutable",
            ),
            Rule(
                rule="self.outputs.exists(one, one.format == 'iso') || !has(self.installer)"
                " || (self.installer.target.rule == 'ask' && !has(self.installer.target.value)"
                " && !self.installer.overwrite && self.installer.whenDone == 'poweroff')",
                message="is without use: no output has the format 'iso'",
                field_path=".installer",
            ),
            Rule(
                rule="self.mutability == 'immutable' || !has(self.disk) || !has(self.disk.partitions)"
                " || !self.disk.partitions.exists(one, one.filesystem in ['squashfs', 'erofs'])",
                message="a partition is read-only: for the root of an immutable image, and nothing else",
                field_path=".disk",
            ),
            Rule(
                rule="self.mutability == 'mutable' || !has(self.disk) || !has(self.disk.partitions)"
                " || !self.disk.partitions.exists(one, one.type == 'root' && one.grow)",
                message="the root can't grow: that of an immutable image never changes",
                field_path=".disk",
            ),
            Rule(
                rule="self.mutability == 'immutable' || !has(self.outputs)"
                " || !self.outputs.exists(one, one.format == 'root-verity')",
                message="root-verity is a part of immutable images only",
                field_path=".outputs",
            ),
            Rule(
                rule="!has(self.immutable) || !has(self.immutable.update) || self.version.matches('^[0-9A-Za-z.-]+$')",
                message="must be letters, digits, dots and dashes only, which updates can read out of file names",
                field_path=".version",
            ),
            Rule(
                rule="!has(self.immutable) || !has(self.immutable.update) || !has(self.outputs)"
                f" || !self.outputs.exists(one, one.format in {PART_FORMATS} && one.compression == 'zstd')",
                message="a part can't be compressed with zstd: systemd-sysupdate unpacks xz and gzip only",
                field_path=".outputs",
            ),
            Rule(
                rule="self.mutability == 'mutable' || self.bootLoader.type != 'grub'",
                message="can't be 'grub' for an immutable image: nothing would vouch for what it starts",
                field_path=".bootLoader.type",
            ),
            Rule(
                rule="!has(self.secureBoot) || self.bootLoader.type != 'grub'",
                message="can't be 'grub' with secureBoot: it would start kernels that nobody has signed",
                field_path=".bootLoader.type",
            ),
            Rule(
                rule="self.bootLoader.type != 'grub' || !has(self.outputs)"
                " || !self.outputs.exists(one, one.format == 'uki')",
                message="a uki can't be: GRUB starts kernel and initramfs out of the root",
                field_path=".outputs",
            ),
            Rule(
                rule="self.bootLoader.type != 'grub' || !has(self.outputs)"
                " || !self.outputs.exists(one, one.format == 'iso')",
                message="an iso can't be: the installer starts by systemd's means, not by GRUB's",
                field_path=".outputs",
            ),
            Rule(
                rule="self.bootLoader.firmware == 'uefi' || self.target.architecture == 'x86_64'",
                message="must be 'uefi': of this architecture no machine has a BIOS",
                field_path=".bootLoader.firmware",
            ),
            Rule(
                rule="!has(self.disk) || !has(self.disk.partitions) || self.disk.partitions.size() == 0"
                " || self.disk.partitions.exists_one(one, one.type == 'esp')"
                " || (self.bootLoader.firmware == 'bios' && !self.disk.partitions.exists(one, one.type == 'esp'))",
                message="must hold an EFI system partition (type esp) exactly once",
                field_path=".disk.partitions",
            ),
            Rule(
                rule="self.bootLoader.firmware == 'uefi' || !has(self.disk) || !has(self.disk.partitions)"
                f" || !self.disk.partitions.exists(one, one.label == '{BIOS_BOOT_LABEL}')",
                message=f"the label {BIOS_BOOT_LABEL} is that of the partition which the composer adds for GRUB",
                field_path=".disk.partitions",
            ),
            Rule(
                rule="self.bootLoader.type != 'grub' || !has(self.kernel) || !has(self.kernel.commandLine)"
                f" || self.kernel.commandLine.all(one, one.matches({GRUB_WORD}))",
                message="an argument has quotes or a backslash where GRUB would change them",
                field_path=".kernel",
            ),
        ]
    ),
    "Extends": Refinement(rules=[exactly_one("configMapRef", "file", "imageBuildRef")]),
    "Extends.file": Refinement(rules=[NO_DOTS]),
    "ImageSpec.variables": Refinement(list_keys=["name"]),
    "Update": Refinement(
        rules=[
            Rule(
                rule="self.verify == 'none' || has(self.key)",
                message="is missing: SHA256SUMS must be signed, unless verify is 'none'",
                field_path=".key",
            ),
            Rule(
                rule="self.verify == 'signature' || !has(self.key)",
                message="is without use: verify is 'none'",
                field_path=".key",
            ),
            Rule(
                rule="self.verify == 'signature' || self.url.startsWith('https:')",
                message="must be https: verify is 'none', so whoever serves it is believed",
                field_path=".url",
            ),
        ]
    ),
    "Update.key": Refinement(rules=[ARMOURED]),
    "ImageSpec.packages": Refinement(
        rules=[
            Rule(
                rule=f"self.filter(one, one.contains('=')).size() * self.size() > {COMPARISONS}"
                " || self.all(one, !one.contains('=') || !(one.split('=')[0] in self))",
                message="a package is asked for twice, with and without a version",
                message_expression="self.filter(one, one.contains('=')).map(one, one.split('=')[0])"
                ".filter(name, name in self)[0] + ' is asked for twice, with different versions'",
            )
        ]
    ),
    "ImageSpec.packages[]": Refinement(
        rules=[
            Rule(
                rule=f"!self.matches({WILDCARD})",
                message="has a wildcard; name each package, so that a new one can't slip in unnoticed",
            ),
            Rule(
                rule=f"!self.matches({RANGE}) || self.matches({WILDCARD})",
                message="must be 'name' or 'name=version'; ranges are not supported",
            ),
            Rule(
                rule=f"self.matches({REQUEST}) || self.matches({RANGE}) || self.matches({WILDCARD})",
                message="is not a package: write 'name' or 'name=version'",
            ),
        ]
    ),
    "Kernel.commandLine[]": Refinement(
        rules=[
            Rule(
                rule="!(self.split('=')[0] in ['root', 'initrd'])",
                message="root= and initrd= are set by the composer",
                message_expression="self.split('=')[0] + '= is set by the composer'",
            )
        ]
    ),
    "ImageSpec.repositories": Refinement(list_keys=["id"]),
    "Repository": Refinement(
        rules=[
            Rule(
                "has(self.suite) || !has(self.components) || size(self.components) == 0",
                "are those of a suite, which is missing",
                field_path=".components",
            )
        ]
    ),
    "Repository.key": Refinement(rules=[ARMOURED]),
    "ImageSpec.users": Refinement(list_keys=["name"], rules=[once("uid")]),
    "User": Refinement(
        rules=[
            Rule(
                rule="self.name != 'root' || (!has(self.uid) && !has(self.home))",
                message="uid and home of root can't be changed",
            ),
            Rule(
                rule="self.sudo != 'password' || has(self.passwordHash)",
                message="asks for a password, but the user has none; give passwordHash or 'passwordless'",
                field_path=".sudo",
            ),
        ]
    ),
    "User.passwordHash": Refinement(
        rules=[
            Rule(
                rule=f"!self.matches({BROKEN_HASH})",
                message="MD5 and DES password hashes are broken; make one with 'mkpasswd' or 'openssl passwd -6'",
            ),
            Rule(
                rule=f"self.matches({HASH}) || self.matches({BROKEN_HASH})",
                message="is not a password hash of crypt(5); make one with 'mkpasswd' or 'openssl passwd -6'",
            ),
        ]
    ),
    "User.sshAuthorizedKeys[]": Refinement(
        pattern=SSH_KEY,
        rules=[
            Rule(
                # Looking through the whole of 64 keys of 256 users would cost too much; this costs the same for all.
                rule="!self.startsWith('-----BEGIN')",
                message="is a private key; give the public key, the line in the file ending in .pub",
            )
        ],
    ),
    "ImageSpec.groups": Refinement(list_keys=["name"], rules=[once("gid")]),
    "ImageSpec.files": Refinement(list_keys=["path"]),
    "File": Refinement(
        rules=one_source("configMapRef", "content", "contentBase64", "link", "secretRef", "url"),
    ),
    "File.url": ADDRESS,
    "File.path": Refinement(rules=[NO_DOTS]),
    "File.link": Refinement(rules=[NO_DOTS]),
    "ImageSpec.folders": Refinement(list_keys=["path"]),
    "Folder.path": Refinement(rules=[NO_DOTS]),
    "ImageSpec.trees": Refinement(list_keys=["name"]),
    "Tree": Refinement(rules=one_source("configMapRef", "folder", "url")),
    "Tree.url": ADDRESS,
    "Tree.path": Refinement(rules=[NO_DOTS]),
    "Tree.folder": Refinement(rules=[NO_DOTS]),
    "ImageSpec.scripts": Refinement(list_keys=["name"]),
    "ImageSpec.artifacts": Refinement(list_keys=["path"]),
    "Artifact.url": ADDRESS,
    "Artifact.path": Refinement(rules=[NO_DOTS]),
    "Script": Refinement(rules=one_source("configMapRef", "content", "url")),
    "Script.url": ADDRESS,
    "Script.interpreter": Refinement(rules=[NO_DOTS]),
    "Systemd.units": Refinement(list_keys=["name"]),
    "User.shell": Refinement(rules=[NO_DOTS]),
    "User.home": Refinement(rules=[NO_DOTS]),
    **DISK,
    "S3Destination": Refinement(rules=[SHOWN_CERTIFICATES]),
    "S3Destination.caBundle": Refinement(rules=CERTIFICATES),
    "S3Server": Refinement(rules=[SHOWN_CERTIFICATES]),
    "S3Server.caBundle": Refinement(rules=CERTIFICATES),
    "WorkspaceVolume": Refinement(
        rules=[
            Rule(
                rule="!has(self.ephemeralVolume) || !has(self.medium) || self.medium != 'memory'",
                message="'memory' and ephemeralVolume exclude each other",
                field_path=".medium",
            )
        ]
    ),
    "CacheVolume": Refinement(
        rules=[
            Rule(
                rule="has(self.persistentVolumeClaim) != has(self.hostPath)",
                message="must hold exactly one of persistentVolumeClaim and hostPath",
            )
        ]
    ),
    "CacheVolume.hostPath": Refinement(rules=[NO_DOTS]),
}
"""Rules of the spec, by the place they stand at."""

STATUS: Mapping[str, Refinement] = {
    "BuildStatus.conditions": Refinement(list_keys=["type"]),
    "BuildStatus.stages": Refinement(list_keys=["name"]),
    "Condition.reason": Refinement(description=" ".join(f"{reason}: {reason.meaning}" for reason in Reason)),
}
"""The same of the status, which only the operator writes."""
