"""Rules that span fields: each is broken by itself, and named with its place."""

from __future__ import annotations

from typing import Any

import pytest

from image_composer.manifest import Family, Manifest, Profile
from image_composer.provider import load_providers
from image_composer.spec.image import Architecture
from image_composer.spec.rules import spec_problems
from image_composer.spec.rules_target import target_problems
from support.specs import PARTITIONS, SHA512_HASH, bare, image_spec, problems, read

ESP, ROOT = PARTITIONS
SWAP = {"label": "swap", "type": "swap", "filesystem": "swap", "size": "1GiB"}
LATER = {"label": "data", "type": "srv", "filesystem": "xfs", "mountPoint": "/srv/data"}
ARM = {"distribution": "elxr", "release": "12", "architecture": "aarch64"}
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n..."


UPDATE = {"url": "https://example.org/edge", "verify": "none"}


def updated(**changes: Any) -> dict[str, Any]:
    return {"mutability": "immutable", "immutable": {"update": {**UPDATE, **changes}}}


def repository(**changes: Any) -> dict[str, Any]:
    return {"id": "mine", "url": "https://example.org/deb", "suite": "stable", "key": KEY, **changes}


def disk(*partitions: dict[str, Any]) -> dict[str, Any]:
    return {"disk": {"partitions": list(partitions)}}


@pytest.mark.parametrize(
    "fields",
    [
        {"packages": ["curl", "curl"]},
        {"packages": ["curl=1", "curl=1"], "excludePackages": ["nano"]},
        {"kernel": {"commandLine": ["rootwait", "rootflags=x", "quiet"]}},
        {"repositories": [repository(), repository(id="other")]},
        {"users": [{"name": "root", "passwordHash": SHA512_HASH, "sudo": "password"}]},
        {"users": [{"name": "a", "uid": 1000}, {"name": "b", "uid": 1001}, {"name": "c"}, {"name": "d"}]},
        {"outputs": [{"format": "raw", "compression": name} for name in ("none", "zstd", "xz", "gzip")]},
        {"outputs": [{"format": name} for name in ("raw", "qcow2", "vhd", "vhd-dynamic", "vhdx", "vmdk", "iso")]},
        {"outputs": [{"format": "iso"}], "installer": {"target": {"rule": "smallest"}, "overwrite": True}},
        {"outputs": [{"format": "iso"}], "installer": {"target": {"rule": "path", "value": "/dev/vda"}}},
        {"outputs": [{"format": name, "compression": "gzip"} for name in ("vhd", "vhd-dynamic", "vhdx")]},
        {"outputs": [{"format": "vhd"}, {"format": "vhd-dynamic"}], "disk": {"size": "2040GiB"}},
        {"outputs": [{"format": "vhdx"}, {"format": "raw"}], "disk": {"size": "3TiB"}},
        disk(ESP, {**ROOT, "grow": True}),
        disk(ESP, {**SWAP, "mountOptions": "pri=5"}, ROOT),
        {**disk(ESP, ROOT, LATER), "files": [{"path": "/srv/datum", "content": ""}]},
        *(disk(ESP, ROOT, {**LATER, "filesystem": name, "encrypt": "tpm2"}) for name in ("ext4", "xfs", "btrfs")),
        {"disk": {"size": "4GiB", "partitions": [ESP, {**SWAP, "size": "10%"}, {**ROOT, "size": "50%"}]}},
        {"mutability": "immutable", "immutable": {"etc": "volatile"}},
        {"mutability": "immutable", "immutable": {"update": UPDATE}},
        {
            "mutability": "immutable",
            "immutable": {"update": {"url": "http://example.org", "key": KEY}},
            "outputs": [{"format": "root", "compression": "xz"}, {"format": "root-verity"}, {"format": "uki"}],
        },
        {"outputs": [{"format": "root", "compression": "zstd"}, {"format": "uki"}]},
        {"bootLoader": {"type": "grub", "firmware": "both"}, "kernel": {"commandLine": ['a="b c"', '"d=e f"', "g=h"]}},
        {
            "bootLoader": {"type": "grub"},
            "target": {"distribution": "elxr", "release": "12", "architecture": "aarch64"},
        },
        {"bootLoader": {"type": "grub", "firmware": "bios"}, **disk(ROOT)},
        {"bootLoader": {"type": "grub", "firmware": "bios"}, **disk(ESP, ROOT)},
        {"kernel": {"commandLine": ["a=b\\c'"]}},
        {"mutability": "immutable", **disk(ESP, {**ROOT, "filesystem": "squashfs"})},
        disk(
            {**ESP, "mountPoint": None},
            ROOT,
            {"label": "a", "type": "linux", "filesystem": "ext4"},
            {"label": "b", "type": "linux", "filesystem": "ext4"},
            {"label": "home", "type": "home", "filesystem": "ext4", "mountPoint": "/home", "grow": True},
        ),
    ],
)
def test_what_no_rule_forbids_is_allowed(fields: dict[str, Any]) -> None:
    read(bare(**fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"packages": ["curl", "curl=1"]}, ["packages[1]: curl is asked for twice, with different versions"]),
        ({"packages": ["curl=2", "vim", "curl=1"]}, ["packages[2]: curl is asked for twice, with different versions"]),
        (
            {"packages": ["curl=1"], "excludePackages": ["nano", "curl"]},
            ["excludePackages[1]: curl is excluded, but the spec asks for it"],
        ),
        (
            {"kernel": {"package": "linux"}, "excludePackages": ["linux"]},
            ["excludePackages[0]: linux is excluded, but the spec asks for it"],
        ),
        (
            {"kernel": {"commandLine": ["root=/dev/sda", "quiet", "initrd=x"]}},
            [
                "kernel.commandLine[0]: root= is set by the composer",
                "kernel.commandLine[2]: initrd= is set by the composer",
            ],
        ),
        ({"repositories": [repository(), repository()]}, ["repositories: id 'mine' is there 2 times"]),
        (
            {"repositories": [repository(suite=None, components=["main"])]},
            ["repositories[0].components: are those of a suite, which is missing"],
        ),
        (
            {"repositories": [repository(key="0xDEADBEEF")]},
            ["repositories[0].key: must be an ASCII-armoured OpenPGP public key"],
        ),
        ({"users": [{"name": "a"}, {"name": "a"}]}, ["users: name 'a' is there 2 times"]),
        (
            {"users": [{"name": "a", "uid": 1000}, {"name": "b", "uid": 1000}]},
            ["users: uid 1000 is there 2 times"],
        ),
        ({"users": [{"name": "root", "uid": 1000}]}, ["users[0]: uid and home of root can't be changed"]),
        ({"users": [{"name": "root", "home": "/home/root"}]}, ["users[0]: uid and home of root can't be changed"]),
        (
            {"users": [{"name": "a", "sudo": "password"}]},
            ["users[0].sudo: asks for a password, but the user has none; give passwordHash or 'passwordless'"],
        ),
        ({"outputs": [{"format": "raw"}, {"format": "raw", "compression": "none"}]}, ["outputs[1]: is there twice"]),
        ({"immutable": {"etc": "volatile"}}, ["immutable: is without use: mutability is 'mutable'"]),
        ({"immutable": {"update": UPDATE}}, ["immutable: is without use: mutability is 'mutable'"]),
        ({"outputs": [{"format": "root-verity"}]}, ["outputs[0].format: is a part of immutable images only"]),
        (
            updated(verify="signature"),
            ["immutable.update.key: is missing: SHA256SUMS must be signed, unless verify is 'none'"],
        ),
        (updated(key=KEY), ["immutable.update.key: is without use: verify is 'none'"]),
        (
            updated(verify="signature", key="AAAA"),
            ["immutable.update.key: must be an ASCII-armoured OpenPGP public key"],
        ),
        (
            updated(url="http://example.org/"),
            ["immutable.update.url: must be https: verify is 'none', so whoever serves it is believed"],
        ),
        *(
            (
                {**updated(), "version": version},
                ["version: must be letters, digits, dots and dashes only, which updates can read out of file names"],
            )
            for version in ("1_0", "1+3", "1~rc1")
        ),
        (
            {
                **updated(),
                "outputs": [{"format": "raw", "compression": "zstd"}, {"format": "uki", "compression": "zstd"}],
            },
            ["outputs[1].compression: can't be 'zstd': systemd-sysupdate unpacks xz and gzip only"],
        ),
        (
            {**updated(), "disk": {"size": "4GiB", "partitions": [ESP, {**ROOT, "size": "2GiB"}]}},
            ["disk.size: is too small: partitions that have a size, with both slots of the root, take 4.2 GiB"],
        ),
        (
            {"disk": {"size": "1GiB", "partitions": [ESP, {**ROOT, "size": "1GiB"}]}},
            ["disk.size: is too small: partitions that have a size take 1.2 GiB"],
        ),
        (
            {"mutability": "immutable", **disk(ESP, {**ROOT, "grow": True})},
            ["disk.partitions[1].grow: can't be: the root of an immutable image never changes"],
        ),
        (
            disk(ESP, {**ROOT, "filesystem": "erofs"}),
            [
                "disk.partitions[1].filesystem: is read-only: for the root of an immutable image, and nothing else",
            ],
        ),
        (
            {
                "mutability": "immutable",
                **disk(ESP, ROOT, {"label": "x", "type": "linux", "filesystem": "squashfs"}),
            },
            ["disk.partitions[2].filesystem: is read-only: for the root of an immutable image, and nothing else"],
        ),
        (
            disk(ESP, ROOT, {"label": "x", "type": "root-verity", "filesystem": "verity"}),
            ["disk.partitions[2]: holds the hashes of an immutable root, and is added by the composer itself"],
        ),
        *(
            (
                {"outputs": [{"format": "raw"}, {"format": name, "compression": compression}]},
                [f"outputs[1].compression: must be 'none': {name} is compressed inside already"],
            )
            for name in ("qcow2", "vmdk")
            for compression in ("zstd", "xz", "gzip")
        ),
        *(
            (
                {"outputs": [{"format": name}], "disk": {"size": "2041GiB"}},
                [f"disk.size: is more than the 2.0 TiB that a {name} can hold"],
            )
            for name in ("vhd", "vhd-dynamic")
        ),
        (
            {"mutability": "immutable", "bootLoader": {"type": "grub"}},
            ["bootLoader.type: can't be 'grub' for an immutable image: nothing would vouch for what it starts"],
        ),
        *(
            (
                {"bootLoader": {"firmware": firmware}},
                ["bootLoader.firmware: must be 'uefi': systemd-boot starts on no other; a BIOS needs type 'grub'"],
            )
            for firmware in ("bios", "both")
        ),
        (
            {"target": ARM, "bootLoader": {"type": "grub", "firmware": "both"}},
            ["bootLoader.firmware: must be 'uefi': no machine of aarch64 has a BIOS"],
        ),
        (
            {"bootLoader": {"type": "grub"}, "kernel": {"commandLine": ["a", 'b=c"d e"', "f='g'", "h\\x20"]}},
            [f"kernel.commandLine[{at}]: has quotes or a backslash where GRUB would change them" for at in (1, 2, 3)],
        ),
        (
            {
                "bootLoader": {"type": "grub", "firmware": "both"},
                **disk(ESP, {"label": "bios-boot", "type": "linux", "filesystem": "ext4"}, ROOT),
            },
            ["disk.partitions[1].label: is that of the partition which the composer adds for GRUB"],
        ),
        (
            {
                "bootLoader": {"type": "grub", "firmware": "bios"},
                **disk(ESP, {**ESP, "label": "x", "mountPoint": None}, ROOT),
            },
            ["disk.partitions: must hold an EFI system partition (type esp) exactly once, not 2 times"],
        ),
        *(
            (
                disk({"label": "core", **wrong}, ESP, ROOT),
                ["disk.partitions[0]: holds what a BIOS starts of GRUB, and is added by the composer itself"],
            )
            for wrong in ({"type": "bios-boot", "filesystem": "ext4"}, {"type": "linux", "filesystem": "grub"})
        ),
        (disk(ROOT), ["disk.partitions: must hold an EFI system partition (type esp) exactly once, not 0 times"]),
        (disk(ESP), ["disk.partitions: must hold a root partition (type root) exactly once, not 0 times"]),
        (
            disk(ESP, ROOT, {"label": "root", "type": "linux", "filesystem": "ext4"}),
            ["disk.partitions: label 'root' is there 2 times"],
        ),
        (
            disk(ESP, ROOT, {"label": "x", "type": "linux", "filesystem": "ext4", "mountPoint": "/boot/efi"}),
            ["disk.partitions: mountPoint '/boot/efi' is there 2 times"],
        ),
        (
            disk({**ESP, "filesystem": "ext4"}, ROOT),
            ["disk.partitions[0].filesystem: must be vfat on the EFI system partition, and only there"],
        ),
        (
            disk(ESP, ROOT, {"label": "x", "type": "linux", "filesystem": "vfat"}),
            ["disk.partitions[2].filesystem: must be vfat on the EFI system partition, and only there"],
        ),
        (
            disk(ESP, {**ROOT, "mountPoint": None}),
            ["disk.partitions[1].mountPoint: must be / on the root partition, and only there"],
        ),
        (
            disk(ESP, ROOT, {"label": "x", "type": "linux", "filesystem": "ext4", "mountPoint": "/etc/ssh"}),
            ["disk.partitions[2].mountPoint: nothing can be mounted at or below /etc"],
        ),
        (
            disk(ESP, {**ROOT, "grow": True}, {"label": "x", "type": "linux", "filesystem": "ext4"}),
            ["disk.partitions[1].grow: only the last partition can grow"],
        ),
        (disk(ROOT, {**ESP, "grow": True}), ["disk.partitions[1].grow: vfat can't grow"]),
        (
            disk(ESP, ROOT, {**LATER, "mountPoint": None}),
            ["disk.partitions[2].mountPoint: is missing: the machine makes this file system to mount it"],
        ),
        (
            disk(ESP, {**ROOT, "filesystem": "xfs"}, {**LATER, "mountPoint": "/var"}),
            [
                "disk.partitions[1].filesystem: is made at the first boot, empty, and so can't hold /",
                "disk.partitions[2].filesystem: is made at the first boot, empty, and so can't hold /var",
            ],
        ),
        (
            disk({**ESP, "encrypt": "tpm2"}, {**ROOT, "encrypt": "key-file"}),
            [
                "disk.partitions[0].encrypt: needs one of the file systems ext4, xfs, btrfs",
                "disk.partitions[1].encrypt: is made at the first boot, empty, and so can't hold /",
            ],
        ),
        (
            disk(ESP, ROOT, {**SWAP, "encrypt": "tpm2"}),
            ["disk.partitions[2].encrypt: needs one of the file systems ext4, xfs, btrfs"],
        ),
        (
            {
                **disk(ESP, ROOT, LATER),
                "files": [{"path": "/srv/data/a", "content": ""}],
                "folders": [{"path": "/srv/data"}],
                "trees": [{"name": "site", "path": "/srv/data/site", "folder": "site"}],
            },
            [
                f"{field}[0].path: lies on a partition that is made at the first boot, empty; see tmpfiles"
                for field in ("files", "folders", "trees")
            ],
        ),
        (
            disk(ESP, ROOT, LATER, {**LATER, "label": "y", "filesystem": "ext4", "mountPoint": "/srv/data/y"}),
            ["disk.partitions[3].mountPoint: lies on a partition that is made at the first boot, empty"],
        ),
        (
            {
                **disk(ESP, ROOT, {**LATER, "encrypt": "tpm2"}),
                "files": [{"path": "/etc/crypttab", "content": ""}],
            },
            ["files[0].path: is written by the composer, for partitions that are encrypted"],
        ),
        (
            {**disk(ESP, ROOT, LATER), "selinux": {"mode": "enforcing"}},
            ["disk.partitions[2]: is made at the first boot, without labels that SELinux would let through"],
        ),
        (
            disk(ESP, {**ROOT, "size": "50%"}, {**SWAP, "size": "10%"}),
            [
                "disk.partitions[1].size: is a share of the disk, whose size (disk.size) is missing",
                "disk.partitions[2].size: is a share of the disk, whose size (disk.size) is missing",
            ],
        ),
        (
            {"disk": {"size": "4GiB", "partitions": [{**ESP, "size": "1GiB"}, {**ROOT, "size": "76%"}]}},
            ["disk.size: is too small: partitions that have a size take 4.0 GiB"],
        ),
        (
            {"disk": {"size": "4GiB", "partitions": [ESP, {**ROOT, "size": "61%"}, {**SWAP, "size": "40%"}]}},
            [
                "disk.partitions: have shares of 101% of the disk together",
                "disk.size: is too small: partitions that have a size take 4.3 GiB",
            ],
        ),
        (
            disk(ESP, ROOT, {**SWAP, "type": "linux"}, {**SWAP, "label": "y", "filesystem": "ext4"}),
            [
                f"disk.partitions[{number}].filesystem: must be swap on partitions of type swap, and only there"
                for number in (2, 3)
            ],
        ),
        (
            disk(ESP, ROOT, {**SWAP, "size": None, "mountPoint": "/swap", "grow": True}),
            [
                "disk.partitions[2].mountPoint: must be absent: swap is mounted nowhere",
                "disk.partitions[2].size: is missing: swap has no content to go by",
                "disk.partitions[2].grow: swap can't grow",
            ],
        ),
        ({"installer": {"whenDone": "reboot"}}, ["installer: is without use: no output has the format 'iso'"]),
        (
            {"outputs": [{"format": "iso"}], "installer": {"overwrite": True}},
            ["installer.overwrite: is without use: who is asked for the disk is asked about what is on it too"],
        ),
        (
            {"outputs": [{"format": "iso"}], "installer": {"target": {"rule": "serial"}}},
            ["installer.target.value: is missing: the rule is 'serial'"],
        ),
        (
            {"outputs": [{"format": "iso"}], "installer": {"target": {"rule": "path", "value": "/sys/vda"}}},
            ["installer.target.value: must be a path below /dev"],
        ),
        (
            {"outputs": [{"format": "iso"}], "installer": {"target": {"rule": "smallest", "value": "x"}}},
            ["installer.target.value: is without use: the rule is 'smallest'"],
        ),
    ],
)
def test_each_rule_names_what_breaks_it(fields: dict[str, Any], expected: list[str]) -> None:
    assert problems(bare(**fields)) == expected


def test_rules_about_fields_that_are_wrong_themselves_are_left_out() -> None:
    spec = image_spec(users=[{"name": "a"}, {"name": "a"}], immutable={"etc": "volatile"})
    found = spec_problems(spec, "spec.image", frozenset({"users"}))
    assert [problem.path for problem in found] == ["spec.image.immutable"]


@pytest.fixture(scope="module")
def debian() -> Manifest:
    return load_providers()["debian"].manifest("12")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"mirrors": {"debian": "https://example.org"}}, []),
        (
            {"mirrors": {"ubuntu": "https://example.org"}},
            ["image.mirrors.ubuntu: Debian 12 (bookworm) has no archive of that name; known: debian, debian-security"],
        ),
        (
            {"repositories": [repository(id="debian-12")]},
            ["image.repositories[0].id: debian-12 is the name of one of the distribution's own"],
        ),
        (
            {"repositories": [repository(suite=None, signed="packages")]},
            [
                "image.repositories[0].suite: is missing; Debian 12 (bookworm) takes deb packages",
                "image.repositories[0].signed: can only be 'metadata' for deb packages, which carry no signatures",
            ],
        ),
    ],
)
def test_what_the_target_can_not_do_is_named(debian: Manifest, fields: dict[str, Any], expected: list[str]) -> None:
    assert [str(problem) for problem in target_problems(image_spec(**fields), debian, "image")] == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"profile": "edge", "repositories": [repository(suite=None, signed="packages")]}, []),
        ({"profile": "desktop"}, ["profile: Rpm Linux has no profile 'desktop'; known: edge, minimal"]),
        (
            {"repositories": [repository()]},
            [
                "repositories[0]: has a suite or components, which only deb repositories have; "
                "Rpm Linux takes rpm packages"
            ],
        ),
    ],
)
def test_rpm_targets_take_rpm_repositories_and_profiles_that_they_have(
    debian: Manifest, fields: dict[str, Any], expected: list[str]
) -> None:
    profiles = {name: Profile(title=name) for name in ("minimal", "edge")}
    rpm = debian.model_copy(update={"family": Family.RPM, "title": "Rpm Linux", "profiles": profiles})
    assert [str(problem) for problem in target_problems(image_spec(**fields), rpm, "")] == expected


def test_an_immutable_root_has_a_file_system_that_the_kernel_can_mount(debian: Manifest) -> None:
    poor = debian.model_copy(update={"read_only_filesystems": {"squashfs": ["xz"]}, "title": "Poor Linux"})
    spec = image_spec(mutability="immutable", **disk(ESP, {**ROOT, "filesystem": "erofs"}))
    assert [str(problem) for problem in target_problems(spec, poor, "")] == [
        "disk.partitions[1].filesystem: Poor Linux can't mount it; known: squashfs"
    ]
    none = debian.model_copy(update={"read_only_filesystems": {}, "title": "Poor Linux"})
    assert [str(problem) for problem in target_problems(image_spec(mutability="immutable"), none, "")] == [
        "mutability: Poor Linux has no file system for an immutable root"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"outputs": [{"format": "raw"}, {"format": "iso"}]}, []),
        ({"outputs": [{"format": "iso"}], "kernel": {"package": "linux-image-6.1.0-9-rt-amd64"}}, []),
        (
            {"outputs": [{"format": "raw"}, {"format": "iso"}], "kernel": {"package": "linux-mine"}},
            [
                "outputs[1].format: can't be 'iso': the kernel linux-mine is not known to read such a medium "
                "(iso9660); those that are: linux-image-*amd64"
            ],
        ),
    ],
)
def test_an_installer_needs_a_kernel_that_can_start_it(
    debian: Manifest, fields: dict[str, Any], expected: list[str]
) -> None:
    assert [str(problem) for problem in target_problems(image_spec(**fields), debian, "")] == expected


def test_an_installer_is_refused_where_no_kernel_can_start_it() -> None:
    manifest = load_providers()["azurelinux"].manifest("3.0")
    target = {"distribution": "azurelinux", "release": "3.0", "architecture": "aarch64"}
    found = target_problems(image_spec(target=target, outputs=[{"format": "iso"}]), manifest, "")
    assert [str(problem) for problem in found] == [
        "outputs[0].format: can't be 'iso': Azure Linux 3.0 has no kernel for aarch64 that is known to start an "
        "installer"
    ]


def test_a_target_without_packages_of_grub_says_so(debian: Manifest) -> None:
    facts = debian.architectures[Architecture.X86_64]
    assert facts.grub is not None
    asked = image_spec(bootLoader={"type": "grub", "firmware": "both"})
    for grub, expected in (
        (None, "bootLoader.type: Debian 12 (bookworm) has no packages of GRUB for x86_64"),
        (
            facts.grub.model_copy(update={"bios_packages": []}),
            "bootLoader.firmware: Debian 12 (bookworm) has no packages of GRUB for a BIOS",
        ),
    ):
        poor = debian.model_copy(
            update={"architectures": {Architecture.X86_64: facts.model_copy(update={"grub": grub})}}
        )
        assert [str(problem) for problem in target_problems(asked, poor, "")] == [expected]
        assert target_problems(image_spec(), poor, "") == []


def test_file_systems_that_the_target_does_not_know_are_named(debian: Manifest) -> None:
    poor = debian.model_copy(update={"filesystems": ["vfat"]})
    found = target_problems(image_spec(**disk(ESP, ROOT)), poor, "")
    assert [str(problem) for problem in found] == [
        "disk.partitions[1].filesystem: Debian 12 (bookworm) can't mount it; known: vfat"
    ]


def test_a_second_slot_is_refused_where_nothing_could_fill_it(debian: Manifest) -> None:
    assert [str(problem) for problem in target_problems(image_spec(**updated()), debian, "")] == [
        "immutable.update: Debian 12 (bookworm) is not known to have systemd-sysupdate, which would fill the slot"
    ]


def test_what_updates_can_not_find_or_name_is_refused() -> None:
    manifest = load_providers()["debian"].manifest("13")
    assert target_problems(image_spec(**updated()), manifest, "") == []
    spec = image_spec(**updated(), **disk({**ESP, "mountPoint": "/esp"}, {**ROOT, "label": "system"}))
    assert [str(problem) for problem in target_problems(spec, manifest, "")] == [
        "immutable.update: needs the EFI system partition at one of /efi, /boot, /boot/efi"
    ]
    long = image_spec(**{**updated(), "version": "1" * 25})
    assert [str(problem) for problem in target_problems(long, manifest, "")] == [
        "version: has more than 24 characters, which is what partition root's name holds"
    ]
