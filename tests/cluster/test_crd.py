"""The CustomResourceDefinition on a real API server: it is taken, fills in, refuses, and says why in users' words."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from image_composer.errors import ToolError
from image_composer_operator.crd import UNSEEN, crd, schema
from image_composer_operator.model import said
from support.cluster import ControlPlane, eventually
from support.cluster.api import Kubectl, wait_until_established
from support.specs import ED25519_KEY, MINIMAL, PARTITIONS, SHA512_HASH, bare, problems, read

PROJECT = Path(__file__).parents[2]
DEFINITION = PROJECT / "crds/imagebuilds.yaml"

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n..."
PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
SIGNER = """\
-----BEGIN CERTIFICATE-----
MIIDATCCAemgAwIBAgIUcc+5KIMGFyyUzvguJxuPc0ERAmAwDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEZWRnZTAgFw0yNjExMjYxMjQ4MDlaGA8yMTI2MTEwMjEy
NDgwOVowDzENMAsGA1UEAwwEZWRnZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCC
AQoCggEBAID4E66JU15/LVSXrW3Tb3QdH3z8t4i7xd5Y4O6wiwc0jBay6/3oBCGD
Os1jXcNLD0Xznmc7fYubqPJMyg9G3jNhf+GMx8sve0PlWyDUzXw0trbyBpVPfpj8
xDtxaMBM9HZv6bfkVCGoCYwtSd0RT0diVgXejn3ux/tgQ/+w6n6CKhDNm0YpQS+q
GJ8jWhI8JU3TMrsoC2gypkwqRi8QQm0sr8cDIPE/3NHSb427ZJ8p/eNuny0r4AY1
d4k0+/4swdo+XgkQd2d8zh12SrmP+qyFxN5SEZZWwPlOf+mLvqs1ir8nHo26pDsf
SPPuh8hofZk13IfjDEvZodjlxNltcBMCAwEAAaNTMFEwHQYDVR0OBBYEFGUVnq3F
ztDIxQsd2cEF9E6nNAqIMB8GA1UdIwQYMBaAFGUVnq3FztDIxQsd2cEF9E6nNAqI
MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBACeZIIr7dGDKQSmQ
mFyDr/0woeeL3vNb0PW9wrB/HN6e0bCFyYh7UWbCVxD76mjTpQJsTMo31T16yi86
5qCDGODb312yr7sbfk2ZilkvGxaqWl/zKc+VqKZTzIO54lytwdS0l6j+J517+bbA
Z0853PTaxUPeaThjBpOu2kU9acR0Rt/HyROppohi/0R1WBKY6V3syoDHGAhDrTsi
X7WaYmxSx/jSYhX2/OB5xOGJg7vpnxFnFchwTy5zsFmFms5wjEZ5ev/ifbzh31YO
s+/yJipIYxA/16B1AwQIvzvSQ8B2VOsZThjTI+xjSE9YdWd/rVW0YbJzgIB+DdKK
K8cW6a0=
-----END CERTIFICATE-----
"""
"""A certificate that firmware could check a signature by."""

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUNSWmymbL+V0OH77ZiEoqKEdxlKAwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLZXhhbXBsZS5vcmcwIBcNMjYxMTI1MjI1NDI1WhgPMjEyNjEx
MDEyMjU0MjVaMBYxFDASBgNVBAMMC2V4YW1wbGUub3JnMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEFWVBdZ4SgpYSkYp/xn49GtWwyR8pMZQAinAvYgkxd385Ae1L
SNUhqOU5DEarhlNLQNO8NEfxP9Z89QEbXR55IKNTMFEwHQYDVR0OBBYEFMqLnDPu
UWsjKyzKt7Ta0uTyrn/qMB8GA1UdIwQYMBaAFMqLnDPuUWsjKyzKt7Ta0uTyrn/q
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAMIgQ+oLpTBcMW4i
3g5BZ2QO4+CutpzD9VcYoAlIzQaeAiBXeDPRqQG9A/Fl29AeVTZlUhnd3obT9cX8
OFkjfDZNkg==
-----END CERTIFICATE-----
"""
ESP, ROOT = PARTITIONS
UPDATE = {"url": "https://example.org/edge", "verify": "none"}
EXTRA = {"label": "x", "type": "linux", "filesystem": "ext4"}

UNCHECKED = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
"""What the API server adds when a value has the wrong type, is unknown or too long: it asks no rule then."""

Node = dict[str, Any]


class Refusal(NamedTuple):
    """A manifest that breaks one rule."""

    spec: Node
    said: str
    """What the API server says."""

    composer: str = ""
    """What the composer says, where that is not the same without the API server's classification."""


def image(said: str, composer: str = "", **fields: Any) -> Refusal:
    return Refusal({"image": bare(**fields)}, f"spec.image.{said}", composer and f"spec.image.{composer}")


def user(said: str, composer: str = "", **fields: Any) -> Refusal:
    return image(f"users[0].{said}", composer and f"users[0].{composer}", users=[{"name": "a", **fields}])


def disk(said: str, *partitions: Node, composer: str = "") -> Refusal:
    composer = composer and f"disk.{composer}"
    return image(f"disk.{said}", composer, disk={"partitions": [*partitions]})


def repository(**changes: Any) -> Node:
    return {"id": "mine", "url": "https://example.org/deb", "suite": "stable", "key": KEY, **changes}


def updated(said: str, **changes: Any) -> Refusal:
    settings = {"update": {**UPDATE, **changes}}
    return image(f"immutable.update.{said}", mutability="immutable", immutable=settings)


def file(**changes: Any) -> Node:
    return {"path": "/srv/a", **changes}


IN_BUCKET = {"url": "s3://models/a", "sha256": "0" * 64}


def artifact(path: str) -> Node:
    return {"path": path, "url": "https://example.org/a", "sha256": "0" * 64, "size": 1}


TREE_SOURCES = "configMapRef, folder, url"
FILE_SOURCES = "configMapRef, content, contentBase64, link, secretRef, url"
NO_DIGEST = "what is downloaded counts only with its digest, sha256, and nothing else has one"


def build(said: str, composer: str = "", **fields: Any) -> Refusal:
    return Refusal({"image": MINIMAL, "build": fields}, f"spec.build.{said}", composer and f"spec.build.{composer}")


def s3(said: str, composer: str = "", **fields: Any) -> Refusal:
    spec = {"image": MINIMAL, "destination": {"s3": {"bucket": "images", **fields}}}
    return Refusal(spec, f"spec.destination.s3.{said}", composer and f"spec.destination.s3.{composer}")


def inputs(said: str, **fields: Any) -> Refusal:
    spec = {"image": {**MINIMAL, "files": [file(**IN_BUCKET)]}, "inputs": {"s3": fields}}
    return Refusal(spec, f"spec.inputs.s3.{said}")


NAMES_PATTERN = "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
LABEL_PATTERN = "^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
STAGES = "'validate', 'resolve', 'fetch', 'assemble', 'image', 'attest', 'verify', 'publish'"

REFUSALS: dict[str, Refusal] = {
    # What spans fields, or is a function in the models.
    "extends-nothing": image(
        'extends[0]: Invalid value: "object": must have exactly one of configMapRef, file, imageBuildRef', extends=[{}]
    ),
    "extends-outside": image(
        "extends[0].file: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        extends=[{"file": "../other.yaml"}],
    ),
    "wildcard": image(
        'packages[1]: Invalid value: "string": has a wildcard; name each package, so that a new one can\'t slip in '
        "unnoticed",
        "packages[1]: 'vim*' has a wildcard; name each package, so that a new one can't slip in unnoticed",
        packages=["curl", "vim*"],
    ),
    "range": image(
        "packages[0]: Invalid value: \"string\": must be 'name' or 'name=version'; ranges are not supported",
        "packages[0]: 'vim>=1' must be 'name' or 'name=version'; ranges are not supported",
        packages=["vim>=1"],
    ),
    "no-package": image(
        "packages[0]: Invalid value: \"string\": is not a package: write 'name' or 'name=version'",
        "packages[0]: '-x' is not a package: write 'name' or 'name=version'",
        packages=["-x"],
    ),
    "twice": image(
        'packages: Invalid value: "array": curl is asked for twice, with different versions',
        "packages[1]: curl is asked for twice, with different versions",
        packages=["curl=1", "curl"],
    ),
    "excluded": image(
        'excludePackages: Invalid value: "object": curl is excluded, but the spec asks for it',
        "excludePackages[1]: curl is excluded, but the spec asks for it",
        packages=["vim", "curl=1"],
        excludePackages=["nano", "curl"],
    ),
    "kernel-excluded": image(
        'excludePackages: Invalid value: "object": linux is excluded, but the spec asks for it',
        "excludePackages[0]: linux is excluded, but the spec asks for it",
        kernel={"package": "linux"},
        excludePackages=["linux"],
    ),
    "root-argument": image(
        'kernel.commandLine[1]: Invalid value: "string": root= is set by the composer',
        kernel={"commandLine": ["rootwait", "root=/dev/sda"]},
    ),
    "initrd-argument": image(
        'kernel.commandLine[0]: Invalid value: "string": initrd= is set by the composer',
        kernel={"commandLine": ["initrd"]},
    ),
    "same-repository": image(
        'repositories[1]: Duplicate value: {"id":"mine"}',
        "repositories: id 'mine' is there 2 times",
        repositories=[repository(), repository()],
    ),
    "no-suite": image(
        'repositories[0].components: Invalid value: "object": are those of a suite, which is missing',
        "repositories[0].components: are those of a suite, which is missing",
        repositories=[repository(suite=None, components=["main"])],
    ),
    "no-key": image(
        'repositories[0].key: Invalid value: "string": must be an ASCII-armoured OpenPGP public key',
        repositories=[repository(key="0xDEADBEEF")],
    ),
    "same-user": image(
        'users[1]: Duplicate value: {"name":"a"}',
        "users: name 'a' is there 2 times",
        users=[{"name": "a"}, {"name": "a"}],
    ),
    "same-uid": image(
        'users: Invalid value: "array": no two may have the same uid',
        "users: uid 1000 is there 2 times",
        users=[{"name": "a", "uid": 1000}, {"name": "b"}, {"name": "c", "uid": 1000}],
    ),
    "root-uid": image(
        'users[0]: Invalid value: "object": uid and home of root can\'t be changed',
        users=[{"name": "root", "home": "/home/root"}],
    ),
    "sudo-without-password": user(
        'sudo: Invalid value: "object": asks for a password, but the user has none; give passwordHash or '
        "'passwordless'",
        sudo="password",
    ),
    "broken-hash": user(
        "passwordHash: Invalid value: \"string\": MD5 and DES password hashes are broken; make one with 'mkpasswd' or "
        "'openssl passwd -6'",
        passwordHash="$1$salt$hash",
    ),
    "no-hash": user(
        "passwordHash: Invalid value: \"string\": is not a password hash of crypt(5); make one with 'mkpasswd' or "
        "'openssl passwd -6'",
        passwordHash="secret",
    ),
    "private-key": user(
        'sshAuthorizedKeys[0]: Invalid value: "string": is a private key; give the public key, the line in the file '
        "ending in .pub",
        sshAuthorizedKeys=[PRIVATE_KEY],
    ),
    "shell-with-dots": user(
        "shell: Invalid value: \"string\": must not hold '.' or '..' between slashes", shell="/bin/../sh"
    ),
    "home-with-dots": user("home: Invalid value: \"string\": must not hold '.' or '..' between slashes", home="/srv/."),
    "immutable-settings": image(
        "immutable: Invalid value: \"object\": is without use: mutability is 'mutable'",
        immutable={"etc": "volatile"},
    ),
    "updated-and-mutable": image(
        "immutable: Invalid value: \"object\": is without use: mutability is 'mutable'",
        immutable={"update": UPDATE},
    ),
    "hashes-of-a-mutable-root": image(
        'outputs: Invalid value: "object": root-verity is a part of immutable images only',
        "outputs[0].format: is a part of immutable images only",
        outputs=[{"format": "root-verity"}],
    ),
    "update-without-key": updated(
        "key: Invalid value: \"object\": is missing: SHA256SUMS must be signed, unless verify is 'none'",
        verify="signature",
    ),
    "update-with-useless-key": updated(
        "key: Invalid value: \"object\": is without use: verify is 'none'",
        key=KEY,
    ),
    "update-with-another-key": updated(
        'key: Invalid value: "string": must be an ASCII-armoured OpenPGP public key',
        verify="signature",
        key="AAAA",
    ),
    "update-from-anybody": updated(
        "url: Invalid value: \"object\": must be https: verify is 'none', so whoever serves it is believed",
        url="http://example.org",
    ),
    "version-of-an-update": image(
        'version: Invalid value: "object": must be letters, digits, dots and dashes only, which updates can read out '
        "of file names",
        version="1_0",
        mutability="immutable",
        immutable={"update": UPDATE},
    ),
    "update-that-nobody-unpacks": image(
        'outputs: Invalid value: "object": a part can\'t be compressed with zstd: systemd-sysupdate unpacks xz and '
        "gzip only",
        "outputs[0].compression: can't be 'zstd': systemd-sysupdate unpacks xz and gzip only",
        outputs=[{"format": "uki", "compression": "zstd"}],
        mutability="immutable",
        immutable={"update": UPDATE},
    ),
    "read-only-and-mutable": image(
        'disk: Invalid value: "object": a partition is read-only: for the root of an immutable image, and nothing else',
        "disk.partitions[1].filesystem: is read-only: for the root of an immutable image, and nothing else",
        disk={"partitions": [ESP, {**ROOT, "filesystem": "erofs"}]},
    ),
    "growing-and-immutable": image(
        'disk: Invalid value: "object": the root can\'t grow: that of an immutable image never changes',
        "disk.partitions[1].grow: can't be: the root of an immutable image never changes",
        mutability="immutable",
        disk={"partitions": [ESP, {**ROOT, "grow": True}]},
    ),
    "hashes": disk(
        'partitions[2]: Invalid value: "object": holds the hashes of an immutable root, and is added by the composer '
        "itself",
        ESP,
        ROOT,
        {"label": "hashes", "type": "root-verity", "filesystem": "ext4"},
    ),
    "read-only-elsewhere": image(
        'disk.partitions[2].filesystem: Invalid value: "object": is read-only: for the root of an immutable image, and '
        "nothing else",
        mutability="immutable",
        disk={"partitions": [ESP, ROOT, {**EXTRA, "filesystem": "squashfs"}]},
    ),
    "same-output": image(
        'outputs: Invalid value: "array": an output is there twice',
        "outputs[1]: is there twice",
        outputs=[{"format": "raw"}, {"format": "raw", "compression": "none"}],
    ),
    "packed-twice": image(
        "outputs[0].compression: Invalid value: \"object\": must be 'none': iso, qcow2, vmdk are compressed inside "
        "already",
        "outputs[0].compression: must be 'none': qcow2 is compressed inside already",
        outputs=[{"format": "qcow2", "compression": "zstd"}],
    ),
    "installer-without-iso": image(
        "installer: Invalid value: \"object\": is without use: no output has the format 'iso'",
        "installer: is without use: no output has the format 'iso'",
        installer={"whenDone": "reboot"},
    ),
    "overwriting-by-asking": image(
        'installer.overwrite: Invalid value: "object": is without use: who is asked for the disk is asked about what '
        "is on it too",
        outputs=[{"format": "iso"}],
        installer={"overwrite": True},
    ),
    "disk-without-serial": image(
        "installer.target: Invalid value: \"object\": a value belongs to the rules 'serial' and 'path', and only "
        "to these",
        "installer.target.value: is missing: the rule is 'serial'",
        outputs=[{"format": "iso"}],
        installer={"target": {"rule": "serial"}},
    ),
    "disk-outside-dev": image(
        'installer.target.value: Invalid value: "object": must be a path below /dev',
        "installer.target.value: must be a path below /dev",
        outputs=[{"format": "iso"}],
        installer={"target": {"rule": "path", "value": "/sys/block/vda"}},
    ),
    "grub-immutable": image(
        "bootLoader.type: Invalid value: \"object\": can't be 'grub' for an immutable image: nothing would vouch for "
        "what it starts",
        mutability="immutable",
        bootLoader={"type": "grub"},
    ),
    "grub-and-secure-boot": image(
        "bootLoader.type: Invalid value: \"object\": can't be 'grub' with secureBoot: it would start kernels that "
        "nobody has signed",
        secureBoot={"certificate": SIGNER},
        bootLoader={"type": "grub"},
    ),
    "grub-and-uki": image(
        'outputs: Invalid value: "object": a uki can\'t be: GRUB starts kernel and initramfs out of the root',
        "outputs[1].format: can't be 'uki': GRUB starts kernel and initramfs out of the root",
        outputs=[{"format": "raw"}, {"format": "uki"}],
        bootLoader={"type": "grub"},
    ),
    "grub-and-iso": image(
        "outputs: Invalid value: \"object\": an iso can't be: the installer starts by systemd's means, not by GRUB's",
        "outputs[1].format: can't be 'iso': the installer starts by systemd's means, not by GRUB's",
        outputs=[{"format": "raw"}, {"format": "iso"}],
        bootLoader={"type": "grub"},
    ),
    "bios-without-grub": image(
        "bootLoader.firmware: Invalid value: \"object\": must be 'uefi': systemd-boot starts on no other; a BIOS needs "
        "type 'grub'",
        bootLoader={"firmware": "bios"},
    ),
    "bios-of-arm": image(
        "bootLoader.firmware: Invalid value: \"object\": must be 'uefi': of this architecture no machine has a BIOS",
        "bootLoader.firmware: must be 'uefi': no machine of aarch64 has a BIOS",
        target={"distribution": "debian", "release": "12", "architecture": "aarch64"},
        bootLoader={"type": "grub", "firmware": "both"},
    ),
    "grub-and-quotes": image(
        'kernel: Invalid value: "object": an argument has quotes or a backslash where GRUB would change them',
        "kernel.commandLine[1]: has quotes or a backslash where GRUB would change them",
        kernel={"commandLine": ['a="b c"', 'a=b"c"']},
        bootLoader={"type": "grub"},
    ),
    "grub-s-own-label": image(
        'disk.partitions: Invalid value: "object": the label bios-boot is that of the partition which the composer '
        "adds for GRUB",
        "disk.partitions[1].label: is that of the partition which the composer adds for GRUB",
        disk={"partitions": [ESP, {"label": "bios-boot", "type": "linux", "filesystem": "ext4"}, ROOT]},
        bootLoader={"type": "grub", "firmware": "bios"},
    ),
    "grub-s-own-partition": disk(
        'partitions[0]: Invalid value: "object": holds what a BIOS starts of GRUB, and is added by the composer itself',
        {"label": "core", "type": "bios-boot", "filesystem": "ext4"},
        ESP,
        ROOT,
    ),
    "no-esp": disk(
        'partitions: Invalid value: "object": must hold an EFI system partition (type esp) exactly once',
        ROOT,
        composer="partitions: must hold an EFI system partition (type esp) exactly once, not 0 times",
    ),
    "two-roots": disk(
        'partitions: Invalid value: "array": must hold a root partition (type root) exactly once',
        ESP,
        composer="partitions: must hold a root partition (type root) exactly once, not 0 times",
    ),
    "same-label": disk(
        'partitions: Invalid value: "array": no two may have the same label',
        ESP,
        ROOT,
        {**EXTRA, "label": "root"},
        composer="partitions: label 'root' is there 2 times",
    ),
    "same-mount-point": disk(
        'partitions: Invalid value: "array": no two may have the same mountPoint',
        ESP,
        ROOT,
        {**EXTRA, "mountPoint": "/boot/efi"},
        composer="partitions: mountPoint '/boot/efi' is there 2 times",
    ),
    "grows-in-the-middle": disk(
        'partitions: Invalid value: "array": only the last partition can grow',
        ESP,
        {**ROOT, "grow": True},
        EXTRA,
        composer="partitions[1].grow: only the last partition can grow",
    ),
    "vfat-grows": disk('partitions[1].grow: Invalid value: "object": vfat can\'t grow', ROOT, {**ESP, "grow": True}),
    "share-of-nothing": disk(
        'partitions: Invalid value: "object": a partition\'s size is a share of the disk, whose size (disk.size) is '
        "missing",
        ESP,
        {**ROOT, "size": "50%"},
        composer="partitions[1].size: is a share of the disk, whose size (disk.size) is missing",
    ),
    "swap-by-half": disk(
        'partitions[2].filesystem: Invalid value: "object": must be swap on partitions of type swap, and only there',
        ESP,
        ROOT,
        {**EXTRA, "type": "swap", "size": "1GiB"},
    ),
    "swap-without-size": disk(
        'partitions[2]: Invalid value: "object": swap needs a size, is mounted nowhere and can\'t grow',
        ESP,
        ROOT,
        {**EXTRA, "type": "swap", "filesystem": "swap"},
        composer="partitions[2].size: is missing: swap has no content to go by",
    ),
    "encrypted-swap": disk(
        'partitions[2].encrypt: Invalid value: "object": needs one of the file systems ext4, xfs, btrfs',
        ESP,
        ROOT,
        {**EXTRA, "type": "swap", "filesystem": "swap", "size": "1GiB", "encrypt": "tpm2", "mountPoint": None},
    ),
    "xfs-without-a-place": disk(
        'partitions[2].mountPoint: Invalid value: "object": is missing: the machine makes this file system to mount it',
        ESP,
        ROOT,
        {**EXTRA, "filesystem": "xfs"},
    ),
    "xfs-where-packages-are": disk(
        'partitions[2]: Invalid value: "object": is made at the first boot, empty, and can\'t be mounted where every '
        "image has something",
        ESP,
        ROOT,
        {**EXTRA, "filesystem": "xfs", "mountPoint": "/usr"},
        composer="partitions[2].filesystem: is made at the first boot, empty, and so can't hold /usr",
    ),
    "esp-without-vfat": disk(
        'partitions[0].filesystem: Invalid value: "object": must be vfat on the EFI system partition, and only there',
        {**ESP, "filesystem": "ext4"},
        ROOT,
    ),
    "root-elsewhere": disk(
        'partitions[1].mountPoint: Invalid value: "object": must be / on the root partition, and only there',
        ESP,
        {**ROOT, "mountPoint": None},
    ),
    "mount-point-with-dots": disk(
        "partitions[2].mountPoint: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        ESP,
        ROOT,
        {**EXTRA, "mountPoint": "/srv/../x"},
    ),
    "mounted-below-etc": disk(
        'partitions[2].mountPoint: Invalid value: "string": nothing can be mounted at or below /etc',
        ESP,
        ROOT,
        {**EXTRA, "mountPoint": "/etc/ssh"},
    ),
    "certificates-for-http": s3(
        'caBundle: Invalid value: "object": is without use: the endpoint is http, where no certificate is shown',
        endpoint="http://example.org",
        caBundle=CERTIFICATE,
    ),
    "private-key-among-certificates": s3(
        'caBundle: Invalid value: "string": holds a private key; give certificates only',
        caBundle=f"{CERTIFICATE}{PRIVATE_KEY}",
    ),
    "no-certificates": s3(
        'caBundle: Invalid value: "string": must be certificates in PEM, each between BEGIN CERTIFICATE and '
        "END CERTIFICATE",
        caBundle="MIIC",
    ),
    "input-certificates-for-http": inputs(
        'caBundle: Invalid value: "object": is without use: the endpoint is http, where no certificate is shown',
        endpoint="http://example.org",
        caBundle=CERTIFICATE,
    ),
    "private-key-among-input-certificates": inputs(
        'caBundle: Invalid value: "string": holds a private key; give certificates only',
        caBundle=f"{CERTIFICATE}{PRIVATE_KEY}",
    ),
    "no-input-certificates": inputs(
        'caBundle: Invalid value: "string": must be certificates in PEM, each between BEGIN CERTIFICATE and '
        "END CERTIFICATE",
        caBundle="MIIC",
    ),
    "key-without-certificate": Refusal(
        {"image": MINIMAL, "secureBoot": {"keySecretRef": {"name": "key"}}},
        'spec.secureBoot: Invalid value: "object": is without use: image.secureBoot says for what',
    ),
    "private-key-for-secure-boot": image(
        'secureBoot.certificate: Invalid value: "string": holds a private key, which must never stand in a document; '
        "give the certificate alone",
        secureBoot={"certificate": f"{CERTIFICATE}{PRIVATE_KEY}"},
    ),
    "no-certificate-for-secure-boot": image(
        'secureBoot.certificate: Invalid value: "string": must be one certificate in PEM, between BEGIN CERTIFICATE '
        "and END CERTIFICATE",
        secureBoot={"certificate": "MIIC"},
    ),
    "two-workspaces": build(
        "workspace.medium: Invalid value: \"object\": 'memory' and ephemeralVolume exclude each other",
        workspace={"medium": "memory", "ephemeralVolume": {}},
    ),
    "no-cache": build(
        'cache: Invalid value: "object": must hold exactly one of persistentVolumeClaim and hostPath', cache={}
    ),
    "cache-with-dots": build(
        "cache.hostPath: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        cache={"hostPath": "/var/./cache"},
    ),
    "no-stage": build(
        f'resources: Invalid value: "object": keys must be among {STAGES}',
        "resources.compile: must be 'validate', 'resolve', 'fetch', 'assemble', 'image', 'attest', 'verify' "
        "or 'publish', not 'compile'",
        resources={"compile": {}},
    ),
    "no-affinity": build(
        "affinity: Invalid value: \"object\": keys must be among 'nodeAffinity', 'podAffinity', 'podAntiAffinity'",
        "affinity.node: must be 'nodeAffinity', 'podAffinity' or 'podAntiAffinity', not 'node'",
        affinity={"node": {}},
    ),
    "no-label": build(
        f'labels: Invalid value: "object": keys must match {LABEL_PATTERN}',
        f"labels['a b']: 'a b' does not match {LABEL_PATTERN}",
        labels={"a b": "x"},
    ),
    "no-node-label": build(
        f'nodeSelector: Invalid value: "object": keys must match {LABEL_PATTERN}',
        f"nodeSelector['a b']: 'a b' does not match {LABEL_PATTERN}",
        nodeSelector={"a b": "x"},
    ),
    "no-archive": image(
        'mirrors: Invalid value: "object": keys must match ^[a-z0-9-]{1,64}$',
        "mirrors.Debian: 'Debian' does not match ^[a-z0-9-]{1,64}$",
        mirrors={"Debian": "https://example.org"},
    ),
    "no-variable": image(
        'values: Invalid value: "object": keys must match ^[A-Za-z_][A-Za-z0-9_]{0,63}$',
        "values['a b']: 'a b' does not match ^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        values={"a b": "x"},
    ),
    # The running system.
    "no-tree": image(
        f'trees[0]: Invalid value: "object": must have exactly one of {TREE_SOURCES}',
        f"trees[0]: must have exactly one of {TREE_SOURCES}, not nothing",
        trees=[{"name": "a", "path": "/"}],
    ),
    "tree-without-digest": image(
        f'trees[0]: Invalid value: "object": {NO_DIGEST}',
        "trees[0].sha256: is missing: what is downloaded counts only with its digest",
        trees=[{"name": "a", "path": "/", "url": "https://example.org/a.tar"}],
    ),
    "tree-outside": image(
        "trees[0].folder: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        trees=[{"name": "a", "path": "/", "folder": "../a"}],
    ),
    "tree-with-dots": image(
        "trees[0].path: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        trees=[{"name": "a", "path": "/srv/..", "folder": "a"}],
    ),
    "same-group": image(
        'groups[1]: Duplicate value: {"name":"a"}',
        "groups: name 'a' is there 2 times",
        groups=[{"name": "a"}, {"name": "a"}],
    ),
    "same-gid": image(
        'groups: Invalid value: "array": no two may have the same gid',
        "groups: gid 900 is there 2 times",
        groups=[{"name": "a", "gid": 900}, {"name": "b", "gid": 900}],
    ),
    "same-file": image(
        'files[1]: Duplicate value: {"path":"/srv/a"}',
        "files: path '/srv/a' is there 2 times",
        files=[file(content=""), file(content="")],
    ),
    "no-source": image(
        f'files[0]: Invalid value: "object": must have exactly one of {FILE_SOURCES}',
        f"files[0]: must have exactly one of {FILE_SOURCES}, not nothing",
        files=[file()],
    ),
    "no-digest": image(
        f'files[0]: Invalid value: "object": {NO_DIGEST}',
        "files[0].sha256: is missing: what is downloaded counts only with its digest",
        files=[file(url="https://example.org/a")],
    ),
    "file-with-dots": image(
        "files[0].path: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        files=[{"path": "/srv/../a", "content": ""}],
    ),
    "link-with-dots": image(
        "files[0].link: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        files=[file(link="/srv/./b")],
    ),
    "same-folder": image(
        'folders[1]: Duplicate value: {"path":"/srv/a"}',
        "folders: path '/srv/a' is there 2 times",
        folders=[{"path": "/srv/a"}, {"path": "/srv/a"}],
    ),
    "folder-with-dots": image(
        "folders[0].path: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        folders=[{"path": "/srv/.."}],
    ),
    "same-artifact": image(
        'artifacts[1]: Duplicate value: {"path":"/srv/a"}',
        "artifacts: path '/srv/a' is there 2 times",
        artifacts=[artifact("/srv/a"), artifact("/srv/a")],
    ),
    "artifact-with-dots": image(
        "artifacts[0].path: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        artifacts=[artifact("/srv/../a")],
    ),
    "same-unit": image(
        'systemd.units[1]: Duplicate value: {"name":"a.service"}',
        "systemd.units: name 'a.service' is there 2 times",
        systemd={"units": [{"name": "a.service", "content": ""}] * 2},
    ),
    "same-script": image(
        'scripts[1]: Duplicate value: {"name":"a"}',
        "scripts: name 'a' is there 2 times",
        scripts=[{"name": "a", "content": ""}] * 2,
    ),
    "two-sources": image(
        'scripts[0]: Invalid value: "object": must have exactly one of configMapRef, content, url',
        "scripts[0]: must have exactly one of configMapRef, content, url, not configMapRef and content",
        scripts=[{"name": "a", "content": "", "configMapRef": {"name": "a", "key": "b"}}],
    ),
    "digest-of-nothing": image(
        f'scripts[0]: Invalid value: "object": {NO_DIGEST}',
        "scripts[0].sha256: is without use: nothing is downloaded",
        scripts=[{"name": "a", "content": "", "sha256": "0" * 64}],
    ),
    "interpreter-with-dots": image(
        "scripts[0].interpreter: Invalid value: \"string\": must not hold '.' or '..' between slashes",
        scripts=[{"name": "a", "content": "", "interpreter": "/bin/../sh"}],
    ),
    "no-name-of-a-variable": image(
        'scripts[0].environment: Invalid value: "object": keys must match ^[A-Za-z_][A-Za-z0-9_]{0,63}$',
        "scripts[0].environment.a-b: 'a-b' does not match ^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        scripts=[{"name": "a", "content": "", "environment": {"a-b": "x"}}],
    ),
    "no-module": image(
        'kernel.modules.options: Invalid value: "object": keys must match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
        "kernel.modules.options.-a: '-a' does not match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        kernel={"modules": {"options": {"-a": "x"}}},
    ),
    "no-setting": image(
        'sysctl: Invalid value: "object": keys must match ^[a-z0-9_]+([./][A-Za-z0-9_*-]+){1,8}$',
        "sysctl.kernel: 'kernel' does not match ^[a-z0-9_]+([./][A-Za-z0-9_*-]+){1,8}$",
        sysctl={"kernel": "1"},
    ),
    "no-interface": image(
        'network.interfaces[0].vlans: Invalid value: "object": keys must match ^[A-Za-z][A-Za-z0-9_.-]{0,14}$',
        "network.interfaces[0].vlans['en*']: 'en*' does not match ^[A-Za-z][A-Za-z0-9_.-]{0,14}$",
        network={"interfaces": [{"name": "eth0", "vlans": {"en*": 1}}]},
    ),
    "no-certificate-name": image(
        'trust.certificates: Invalid value: "object": keys must match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$',
        "trust.certificates['a/b']: 'a/b' does not match ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        trust={"certificates": {"a/b": CERTIFICATE}},
    ),
    # What fields are by themselves: one of each kind.
    "no-name": image(
        "name: Invalid value: \"Edge\": spec.image.name in body should match '^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$'",
        "name: 'Edge' does not match ^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$",
        name="Edge",
    ),
    "low-uid": user(
        "uid: Invalid value: 1: spec.image.users[0].uid in body should be greater than or equal to 1000",
        "uid: input should be greater than or equal to 1000",
        uid=1,
    ),
    "no-format": image(
        'outputs[0].format: Unsupported value: "ova": supported values: '
        '"raw", "qcow2", "vhd", "vhd-dynamic", "vhdx", "vmdk", "iso", "uki", "root", "root-verity"',
        "outputs[0].format: must be 'raw', 'qcow2', 'vhd', 'vhd-dynamic', 'vhdx', 'vmdk', 'iso', 'uki', 'root' or "
        "'root-verity', not 'ova'",
        outputs=[{"format": "ova"}],
    ),
    "no-outputs": image(
        "outputs: Invalid value: 0: spec.image.outputs in body should have at least 1 items",
        "outputs: list should have at least 1 item after validation, not 0",
        outputs=[],
    ),
    "no-time": build(
        'timeout: Invalid value: "1d": spec.build.timeout in body should match '
        "'^([1-9][0-9]{0,5}h)?([1-9][0-9]{0,5}m)?([1-9][0-9]{0,6}s)?$'",
        "timeout: '1d' does not match ^([1-9][0-9]{0,5}h)?([1-9][0-9]{0,5}m)?([1-9][0-9]{0,6}s)?$",
        timeout="1d",
    ),
    "negative-amount": build(
        "resources.image.requests.cpu: Invalid value: -1: spec.build.resources.image.requests.cpu in body should be "
        "greater than or equal to 0",
        "resources.image.requests.cpu: '-1' does not match ^[0-9]{1,12}(\\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$",
        resources={"image": {"requests": {"cpu": -1}}},
    ),
    "no-image": Refusal({}, "spec.image: Required value", "spec.image: is missing"),
}

STRICT: dict[str, tuple[Node, str, str]] = {
    "field": (
        {"image": bare(colour="red")},
        'unknown field "spec.image.colour"',
        "spec.image.colour: unknown field",
    ),
    "nested": (
        {"image": bare(users=[{"name": "a", "password": "x"}])},
        'unknown field "spec.image.users[0].password"',
        "spec.image.users[0].password: unknown field",
    ),
    "beside-the-image": (
        {"image": MINIMAL, "build": {"timeOut": "1h"}},
        'unknown field "spec.build.timeOut"',
        "spec.build.timeOut: unknown field",
    ),
}

ACCEPTED: dict[str, Node] = {
    "smallest": {"image": MINIMAL},
    "nothing-said": {"image": bare(kernel={"version": None}, users=[{"name": "a", "uid": None}]), "lockRef": None},
    "same-package-twice": {"image": bare(packages=["curl", "curl", "vim=1", "vim=1"])},
    "own-partitions": {"image": bare(disk={"partitions": [ESP, EXTRA, {**ROOT, "grow": True}]})},
    "users": {
        "image": bare(
            users=[
                {"name": "root", "passwordHash": SHA512_HASH, "sudo": "password"},
                {"name": "a", "sshAuthorizedKeys": [f"{ED25519_KEY}\n", f'command="x y" {ED25519_KEY}']},
            ]
        )
    },
    "amounts": {
        "image": MINIMAL,
        "build": {"resources": {"image": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"cpu": "1.5"}}}},
    },
    "everything-beside-the-image": {
        "image": MINIMAL,
        "destination": {
            "s3": {
                "bucket": "images",
                "prefix": "edge/a",
                "endpoint": "https://s3.example.org:9000",
                "forcePathStyle": True,
                "caBundle": CERTIFICATE,
                "credentialsSecretRef": {"name": "s3"},
            }
        },
        "build": {
            "timeout": "1h30m",
            "retries": 2,
            "workspace": {"size": "40Gi", "ephemeralVolume": {"storageClassName": "fast"}},
            "cache": {"persistentVolumeClaim": "packages"},
            "nodeSelector": {"example.org/builds": "yes"},
            "tolerations": [{"key": "builds", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {"anything": [{"goes": "here"}]}},
            "imagePullSecrets": ["pull"],
            "queueName": "images",
            "labels": {"team": "edge"},
            "force": True,
        },
        "suspend": True,
        "cancel": True,
        "retention": {"objects": "delete", "ttlAfterFinished": "24h"},
        "lockRef": {"name": "lock"},
    },
}


def manifest(name: str, spec: Node, **changes: Any) -> Node:
    return {
        "apiVersion": "imagecomposer.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": name},
        "spec": spec,
        **changes,
    }


class Api:
    """An API server that knows ImageBuilds, with a namespace of this test."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace

    def __call__(self, *args: str, given: object = None) -> str:
        """Run kubectl in the namespace."""
        text = None if given is None else json.dumps(given)
        return self.kubectl("-n", self.namespace, *args, input=text)

    def get(self, name: str) -> Node:
        return dict(json.loads(self("get", "ib", name, "-o", "json")))

    def refusal(self, *args: str, given: object = None) -> str:
        """Give what kubectl says when it fails."""
        with pytest.raises(ToolError) as caught:
            self(*args, given=given)
        return caught.value.message.partition("\n")[2]

    def try_all(self, manifests: list[Node]) -> dict[str, str]:
        """Ask about many manifests in one go, and give what is said about each that is refused, by name."""
        stdin = "\n---\n".join(map(json.dumps, manifests))
        words = ("-n", self.namespace, "create", "--dry-run=server", "-f", "-")
        done = self.kubectl.run(*words, input=stdin, check=False)
        line = re.compile(r'^Error from server \(Invalid\): .*? "([^"]+)" is invalid: (.*)$', re.MULTILINE)
        return {
            name: said.removeprefix("[").removesuffix(f", {UNCHECKED}]") if UNCHECKED in said else said
            for name, said in line.findall(done.stderr.decode())
        }


@pytest.fixture(scope="module")
def definition(control_plane: ControlPlane) -> Kubectl:
    """kubectl for an API server that knows ImageBuilds."""
    kubectl = control_plane.kubectl
    kubectl("apply", "--filename", DEFINITION)
    wait_until_established(kubectl, crd()["metadata"]["name"])
    return kubectl


@pytest.fixture
def api(definition: Kubectl) -> Iterator[Api]:
    namespace = f"crd-{secrets.token_hex(4)}"
    definition("create", "namespace", namespace)
    # What is served is known to each client anew; the first one to ask may be a moment early.
    eventually(
        lambda: definition("get", "ib", "-n", namespace, "-o", "name") == "", "ImageBuilds are served", seconds=30
    )
    yield Api(definition, namespace)
    definition("-n", namespace, "delete", "ib", "--all")
    definition("delete", "namespace", namespace, "--wait=false")


def test_it_is_established_and_structural(definition: Kubectl) -> None:
    found = json.loads(definition("get", "crd", crd()["metadata"]["name"], "-o", "json"))
    conditions = {entry["type"]: entry["status"] for entry in found["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == schema()


def test_it_fits_the_annotation_of_client_side_apply(definition: Kubectl) -> None:
    found = json.loads(definition("get", "crd", crd()["metadata"]["name"], "-o", "json"))
    assert "kubectl.kubernetes.io/last-applied-configuration" in found["metadata"]["annotations"]


@pytest.mark.parametrize("example", sorted((PROJECT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_taken(api: Api, example: Path) -> None:
    builds = [one for one in yaml.safe_load_all(example.read_text()) if one.get("kind") == "ImageBuild"]
    for build in builds:
        api("apply", "-f", "-", given=build)


def test_what_is_right_is_taken(api: Api) -> None:
    manifests = [manifest(name, spec) for name, spec in ACCEPTED.items()]
    assert api.try_all(manifests) == {}
    for one in manifests:
        read(one)


def test_each_rule_refuses_what_breaks_it_and_nothing_else_does(api: Api) -> None:
    said = api.try_all([manifest(name, row.spec) for name, row in REFUSALS.items()])
    assert said == {name: row.said for name, row in REFUSALS.items()}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_composer_refuses_the_same(name: str) -> None:
    row = REFUSALS[name]
    plain = re.sub(r': (Invalid value: "(string|array|object)"|Required value): ', ": ", row.said)
    assert problems(manifest(name, row.spec)) == [row.composer or plain]


LEFT_TO_THE_COMPOSER: dict[str, Refusal] = {
    "large-vhd": image(
        "disk.size: is more than the 2.0 TiB that a vhd can hold", disk={"size": "3TiB"}, outputs=[{"format": "vhd"}]
    ),
    "two-versions": image(
        "packages[1]: curl is asked for twice, with different versions", packages=["curl=1", "curl=2"]
    ),
    "damaged-key": user(
        "sshAuthorizedKeys[0]: is damaged: what follows ssh-ed25519 is not a key of that type",
        sshAuthorizedKeys=["ssh-ed25519 AAAA"],
    ),
    "key-that-firmware-does-not-take": image(
        "secureBoot.certificate: has a key that is not RSA; firmware checks no other signatures",
        secureBoot={"certificate": CERTIFICATE},
    ),
    "inputs-without-use": Refusal(
        {"image": MINIMAL, "inputs": {"s3": {}}},
        "spec.inputs: is without use: nothing of the image comes from s3://BUCKET/KEY",
    ),
    "damaged-certificate": s3(
        "caBundle: must be certificates in PEM, each between BEGIN CERTIFICATE and END CERTIFICATE",
        caBundle="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ),
}


def test_what_cel_can_not_say_the_composer_says(api: Api) -> None:
    assert api.try_all([manifest(name, row.spec) for name, row in LEFT_TO_THE_COMPOSER.items()]) == {}
    for name, row in LEFT_TO_THE_COMPOSER.items():
        assert problems(manifest(name, row.spec)) == [row.said]


def rules(node: Node, path: str) -> Iterator[str]:
    """Give the path that each rule of a schema complains about."""
    yield from (path + rule.get("fieldPath", "") for rule in node.get("x-kubernetes-validations", ()))
    for name, below in node.get("properties", {}).items():
        yield from rules(below, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from rules(node[key], path + mark)


def test_no_rule_is_left_out() -> None:
    known = Counter(rules(schema()["properties"]["spec"], "spec"))
    tried = Counter(re.sub(r"\[\d+\]", "[]", row.said.partition(": ")[0]) for row in REFUSALS.values())
    assert {path: count for path, count in known.items() if tried[path] < count} == {}


@pytest.mark.parametrize("name", STRICT)
def test_unknown_fields_are_refused_as_the_composer_does(api: Api, name: str) -> None:
    spec, said, composer = STRICT[name]
    assert said in api.refusal("apply", "-f", "-", given=manifest(name, spec))
    assert problems(manifest(name, spec)) == [composer]


def test_unknown_fields_are_left_out_for_who_does_not_ask_to_be_told(api: Api) -> None:
    api("apply", "--validate=ignore", "-f", "-", given=manifest("edge", {"image": bare(colour="red")}))
    assert "colour" not in api.get("edge")["spec"]["image"]


def test_a_message_is_what_users_read(api: Api) -> None:
    said = api.refusal("apply", "-f", "-", given=manifest("edge", REFUSALS["immutable-settings"].spec))
    assert said == (
        'The ImageBuild "edge" is invalid: spec.image.immutable: Invalid value: "object": '
        "is without use: mutability is 'mutable'"
    )


def test_all_that_is_wrong_is_said_at_once(api: Api) -> None:
    wrong = bare(packages=["vim*"], immutable={"etc": "volatile"}, users=[{"name": "root", "uid": 1000}])
    said = api.refusal("apply", "-f", "-", given=manifest("edge", {"image": wrong}))
    assert len(re.findall(r"^\* ", said, re.MULTILINE)) == 3


def test_defaults_that_are_filled_in_are_not_taken_for_what_the_user_said(api: Api) -> None:
    given = bare(
        extends=[{"configMapRef": {"name": "site", "key": "image.yaml"}}],
        remove=["packages[nano]"],
        variables=[{"name": "SITE", "default": "x"}],
        values={"SITE": "berlin"},
        users=[{"name": "a", "shell": "/bin/sh"}],
        disk={"partitions": [ESP, {**ROOT, "mountOptions": "noatime"}]},
        outputs=[{"format": "vhd"}],
    )
    api("apply", "-f", "-", given=manifest("edge", {"image": given}))
    kept = api.get("edge")["spec"]["image"]
    assert kept != given
    assert said(kept) == given


def test_defaults_are_filled_in(api: Api) -> None:
    given = {
        "image": bare(
            repositories=[repository()],
            users=[{"name": "a"}],
            disk={"partitions": [ESP, {**ROOT, "mountOptions": "noatime"}]},
        ),
        "destination": {"s3": {"bucket": "images"}},
        "build": {"tolerations": [{"key": "a"}]},
        "lockRef": {"name": "lock"},
    }
    api("apply", "-f", "-", given=manifest("edge", given))
    assert api.get("edge")["spec"] == {
        "image": {
            **MINIMAL,
            "target": {**MINIMAL["target"], "architecture": "x86_64"},
            "installRecommends": False,
            "repositories": [{**repository(), "priority": 500}],
            "users": [{"name": "a", "sudo": "none"}],
            "disk": {
                "partitions": [
                    {**ESP, "mountOptions": "defaults", "grow": False},
                    {**ROOT, "mountOptions": "noatime", "grow": False},
                ]
            },
            "network": {"backend": "networkd"},
            "bootLoader": {"type": "systemd-boot", "firmware": "uefi"},
            "packageManager": {"sources": "distribution", "remove": False},
            "mutability": "mutable",
            "immutable": {"etc": "persistent"},
            "outputs": [{"format": "raw", "compression": "none"}],
            "installer": {"target": {"rule": "ask"}, "overwrite": False, "whenDone": "poweroff"},
            "verify": {"boot": False, "bootTimeout": "10m"},
        },
        "destination": {"s3": {"bucket": "images", "region": "us-east-1"}},
        "build": {"tolerations": [{"key": "a", "operator": "Equal"}], "force": False},
        "suspend": False,
        "cancel": False,
        "retention": {"objects": "keep"},
        "lockRef": {"name": "lock", "key": "lock.json"},
    }


def test_what_is_filled_in_means_what_absence_means(api: Api) -> None:
    for name, spec in ACCEPTED.items():
        api("apply", "-f", "-", given=manifest(name, spec))
        stored = read({**manifest(name, api.get(name)["spec"])})
        given = read(manifest(name, spec))
        assert (stored.spec, stored.request) == (given.spec, given.request)


STATUS: Node = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "Running",
            "message": "assemble: 120 of 169 packages",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "observedGeneration": 1,
        }
    ],
    "stage": "assemble",
    "stages": [{"name": "validate", "state": "Succeeded"}, {"name": "assemble", "state": "Running"}],
    "folder": "s3://images/edge/default/edge/1.0-0123456789ab/",
}


def patch_status(api: Api, status: Mapping[str, Any]) -> None:
    api("patch", "ib", "edge", "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))


def test_kubectl_shows_what_one_wants_to_know(api: Api) -> None:
    api("apply", "-f", "-", given=manifest("edge", {"image": MINIMAL}))
    api("apply", "-f", "-", given=manifest("fresh", {"image": MINIMAL}))
    patch_status(api, STATUS)
    assert re.sub(r"\b\d+s\b", "AGE", api("get", "ib")).splitlines() == [
        "NAME    READY     STAGE      DISTRIBUTION   VERSION   AGE",
        "edge    False     assemble   debian         1.0       AGE",
        "fresh   Unknown              debian         1.0       AGE",
    ]
    assert re.sub(r" \d+s ", " 0s ", api("get", "imagebuilds", "edge", "-o", "wide")).splitlines() == [
        "NAME   READY   STAGE      DISTRIBUTION   VERSION   AGE   MESSAGE                         URI",
        "edge   False   assemble   debian         1.0       0s    assemble: 120 of 169 packages   "
        "s3://images/edge/default/edge/1.0-0123456789ab/",
    ]


def test_it_has_a_short_name_a_category_and_a_field_to_select_by(api: Api) -> None:
    api("apply", "-f", "-", given=manifest("edge", {"image": MINIMAL}))
    for word in ("ib", "imagebuild", "image-composer"):
        assert api("get", word, "-o", "name") == "imagebuild.imagecomposer.dev/edge\n"
    selector = "spec.image.target.distribution"
    assert api("get", "ib", "-o", "name", "--field-selector", f"{selector}=debian") != ""
    assert api("get", "ib", "-o", "name", "--field-selector", f"{selector}=elxr") == ""


def test_kubectl_explains_the_fields(api: Api) -> None:
    said = " ".join(api("explain", "ib.spec.build").split())
    assert "How the build runs in the cluster; without meaning on a laptop." in said
    assert "timeout <string> How long the build may take, all tries together." in said
    said = " ".join(api("explain", "ib.status.conditions.reason").split())
    assert "OutOfMemory: A stage needed more memory than its limit; raise it in build.resources." in said


def test_two_managers_each_hold_their_own_users_and_repositories(api: Api) -> None:
    def apply(manager: str, image: Node) -> None:
        api("apply", "--server-side", f"--field-manager={manager}", "-f", "-", given=manifest("edge", {"image": image}))

    apply("platform", bare(users=[{"name": "admin"}], repositories=[repository()]))
    apply("team", {"users": [{"name": "app", "uid": 2000}], "repositories": [repository(id="theirs")]})
    image = api.get("edge")["spec"]["image"]
    assert [user["name"] for user in image["users"]] == ["admin", "app"]
    assert [entry["id"] for entry in image["repositories"]] == ["mine", "theirs"]
    apply("team", {"users": []})
    image = api.get("edge")["spec"]["image"]
    assert [user["name"] for user in image["users"]] == ["admin"]
    assert [entry["id"] for entry in image["repositories"]] == ["mine"]
    with pytest.raises(ToolError, match=r'conflict with "platform".*\n?.*\.spec\.image\.version'):
        apply("team", {"version": "2.0"})


def test_unknown_fields_of_the_status_are_left_out(api: Api) -> None:
    api("apply", "-f", "-", given=manifest("edge", {"image": MINIMAL}))
    patch_status(api, {**STATUS, "colour": "red"})
    assert api.get("edge")["status"] == STATUS


def test_only_the_subresource_writes_the_status_and_nothing_else(api: Api) -> None:
    api("apply", "-f", "-", given=manifest("edge", {"image": MINIMAL}, status=STATUS))
    found = api.get("edge")
    assert found["status"] == UNSEEN
    patch = {"spec": {"suspend": True}, "status": STATUS}
    api("patch", "ib", "edge", "--subresource=status", "--type=merge", "--patch", json.dumps(patch))
    after = api.get("edge")
    assert (after["spec"], after["status"]) == (found["spec"], STATUS)
    assert after["metadata"]["generation"] == found["metadata"]["generation"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"stage": "x" * 65}, "status.stage: Too long"),
        ({"attempts": -1}, "status.attempts: Invalid value: -1"),
        (
            {"conditions": [{**STATUS["conditions"][0], "reason": "Other"}]},
            'status.conditions[0].reason: Unsupported value: "Other"',
        ),
        ({"conditions": STATUS["conditions"] * 2}, 'status.conditions[1]: Duplicate value: {"type":"Ready"}'),
    ],
)
def test_the_status_has_its_form_too(api: Api, status: Node, said: str) -> None:
    api("apply", "-f", "-", given=manifest("edge", {"image": MINIMAL}))
    patch = json.dumps({"status": status})
    assert said in api.refusal("patch", "ib", "edge", "--subresource=status", "--type=merge", "--patch", patch)


def test_a_change_is_held_to_the_same_rules(api: Api) -> None:
    api("apply", "-f", "-", given=manifest("edge", {"image": MINIMAL}))
    api("apply", "-f", "-", given=manifest("edge", {"image": bare(version="2.0")}))
    said = api.refusal("apply", "-f", "-", given=manifest("edge", {"image": bare(immutable={"etc": "volatile"})}))
    assert "is without use" in said
    assert api.get("edge")["spec"]["image"]["version"] == "2.0"


def long_names(count: int, prefix: str) -> list[str]:
    """Give as many names, each as long as one may be."""
    return [f"{prefix}{number:0127}" for number in range(count)]


FULL: dict[str, Node] = {
    "packages": bare(
        packages=[f"{name}={'1' * 127}" for name in long_names(1024, "p")], excludePackages=long_names(1024, "x")
    ),
    # As many comparisons as the rules about packages make before they leave it to the composer.
    "names": bare(packages=long_names(894, "p"), excludePackages=long_names(894, "x")),
    "versions": bare(packages=[f"{name}={'1' * 127}" for name in long_names(894, "p")]),
    "users": bare(
        users=[
            {
                "name": f"u{number:031}",
                "uid": 1000 + number,
                "passwordHash": SHA512_HASH,
                "groups": [f"g{group:031}" for group in range(64)],
                "sshAuthorizedKeys": [ED25519_KEY] * 10,
                "shell": "/" + "a/" * 126 + "a",
                "home": "/" + "a/" * 126 + "a",
            }
            for number in range(256)
        ]
    ),
    "everything-else": bare(
        kernel={"commandLine": ["a" * 512] * 128},
        repositories=[repository(id=f"r{number}", key=KEY + "x" * 30_000) for number in range(32)],
        mirrors={f"a{number}": f"https://{'x' * 2000}" for number in range(16)},
        disk={
            "partitions": [
                ESP,
                ROOT,
                *({**EXTRA, "label": f"p{number:035}", "mountPoint": f"/srv/{number:0250}"} for number in range(30)),
            ]
        },
    ),
}


@pytest.mark.parametrize("name", FULL)
def test_a_document_as_large_as_may_be_fits_the_budget_of_rules(api: Api, name: str) -> None:
    api("create", "-f", "-", given=manifest("edge", {"image": FULL[name]}))


def test_many_packages_are_left_to_the_composer_instead_of_being_refused_for_their_price(api: Api) -> None:
    names = long_names(1024, "p")
    image = bare(packages=names, excludePackages=names)
    api("create", "-f", "-", given=manifest("edge", {"image": image}))
    assert len(problems(manifest("edge", {"image": image}))) == 1024


def test_what_an_older_definition_let_through_can_still_be_worked_with(api: Api) -> None:
    """The operator must be able to say what is wrong with it, and to let it go."""
    group = "older.imagecomposer.dev"
    older = crd()
    older["metadata"]["name"] = f"imagebuilds.{group}"
    older["spec"]["group"] = group
    older["spec"]["names"] = {"kind": "ImageBuild", "plural": "imagebuilds"}
    version = older["spec"]["versions"][0]
    version["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    del version["selectableFields"]
    api("apply", "-f", "-", given=older)
    wait_until_established(api, f"imagebuilds.{group}")
    wrong = manifest("edge", {"image": bare(name="Edge", immutable={"etc": "volatile"}, colour="red")})
    wrong["apiVersion"] = f"{group}/v1alpha1"
    kind = f"imagebuilds.{group}"
    eventually(lambda: api("get", kind, "-o", "name") == "", "the older kind is served", seconds=30)
    api("apply", "-f", "-", given=wrong)
    version["schema"] = {"openAPIV3Schema": schema()}
    api("apply", "-f", "-", given=older)

    def is_held_to_the_new_one() -> bool:
        change = json.dumps({"spec": {"image": {"version": "1*1"}}})
        try:
            api("patch", kind, "edge", "--type=merge", "--dry-run=server", "--patch", change)
        except ToolError:
            return True
        return False

    eventually(is_held_to_the_new_one, "the new definition counts", seconds=30)
    patch = {"metadata": {"finalizers": ["imagecomposer.dev/objects"]}}
    api("patch", kind, "edge", "--type=merge", "--patch", json.dumps(patch))
    status = json.dumps({"status": STATUS})
    api("patch", kind, "edge", "--subresource=status", "--type=merge", "--patch", status)
    assert json.loads(api("get", kind, "edge", "-o", "json"))["status"] == STATUS
    api("patch", kind, "edge", "--type=merge", "--patch", json.dumps({"metadata": {"finalizers": None}}))
    api("delete", kind, "edge")
    api("delete", "crd", f"imagebuilds.{group}", "--wait=false")
