"""A machine started from an image is what the document says, at its first boot and on a larger disk."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from image_composer_providers.debian.provider import PROVIDER
from support.disks import field, partition_table, say
from support.guest import FirstBoot, versions
from support.image import ARGUMENT, HOSTNAME, Credentials, Image

pytestmark = [pytest.mark.build, pytest.mark.network, pytest.mark.boot]

MIB = 1 << 20

JUSTIFIED = (
    # networkd asks the kernel about wireless devices; the rules of radio are in wireless-regdb, for machines that have
    # one.
    ("kernel", r"platform regulatory\.0: firmware: failed to load regulatory\.db"),
    ("kernel", r"firmware_class: See https://wiki\.debian\.org/Firmware"),
    # systemd 257 takes a virtual machine without a vsock device for a failure of its generator.
    ("systemd-ssh-generator", r"Failed to query local AF_VSOCK CID: Cannot assign requested address"),
    (r"\(sd-exec-.*", r".*/systemd-ssh-generator failed with exit status 1\."),
    # Emulated processors stand still while the host is busy with something else.
    ("kernel", r"rcu: |watchdog: BUG: soft lockup"),
)
"""Journal entries of priority error or worse that are no fault of the image: program and message."""


def mount(booted: FirstBoot, path: str) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = booted.facts["mounts"].document["filesystems"]
    [found] = [entry for entry in mounts if entry["target"] == path]
    return found


def is_justified(program: str, message: str) -> bool:
    return any(re.fullmatch(who, program) and re.match(what, message) for who, what in JUSTIFIED)


def test_the_console_asks_for_a_login_and_systemd_is_content(booted: FirstBoot) -> None:
    assert (booted.facts["failed"].text, booted.facts["state"].text, booted.state) == ("", "running", "running")


def test_only_the_right_password_lets_its_owner_in_at_the_console(booted: FirstBoot, credentials: Credentials) -> None:
    assert booted.attempts == {
        ("bob", "wrong"): False,
        ("bob", ""): False,
        ("root", ""): False,
        ("bob", credentials.password): True,
    }
    assert booted.session == "-sh /srv/bob C.UTF-8"


def test_the_password_is_what_sudo_asks_for(booted: FirstBoot) -> None:
    assert booted.bob_with_sudo == "0"


def test_passwords_do_not_open_an_account_that_has_none(booted: FirstBoot) -> None:
    assert booted.passwords_over_ssh.returncode == 255
    assert "Permission denied" in booted.passwords_over_ssh.stderr


def test_a_key_and_sudo_without_a_password_lead_to_root(booted: FirstBoot) -> None:
    assert (booted.facts["user"].text, booted.facts["sudo-user"].text) == ("root", "alice")


def test_accounts_are_as_the_document_says(booted: FirstBoot) -> None:
    assert booted.facts["accounts"].lines == [
        "alice:x:1000:1000::/home/alice:/bin/bash",
        "bob:x:1500:1500::/srv/bob:/bin/sh",
        "carol:x:1001:1001::/home/carol:/bin/bash",
    ]
    groups = set(re.findall(r"\(([a-z-]+)\)", booted.facts["id"].text.split("groups=")[1]))
    assert groups == {"alice", "adm", "systemd-journal", "operators"}


def test_homes_are_their_owners_alone(booted: FirstBoot) -> None:
    assert booted.facts["homes"].lines == [
        "/home/alice 700 alice",
        "/srv/bob 700 bob",
        "/home/carol 700 carol",
        "/home/alice/.ssh/authorized_keys 600 alice",
    ]


def test_the_machine_knows_its_name(booted: FirstBoot) -> None:
    assert booted.facts["hostname"].text == HOSTNAME
    assert booted.facts["own-address"].text.split() == ["127.0.1.1", HOSTNAME, "gate"]


def test_the_kernel_is_the_results_and_got_the_documents_argument(booted: FirstBoot, image: Image) -> None:
    assert booted.facts["kernel"].text == image.result.kernel_version
    assert booted.facts["command-line"].text.strip() == image.report.ukis[0].command_line
    assert ARGUMENT in booted.facts["command-line"].text.split()


def test_the_root_grows_to_the_larger_disk(booted: FirstBoot) -> None:
    size = booted.disk.stat().st_size
    assert "No errors detected" in say("sfdisk", "--verify", booted.disk)
    root = partition_table(booted.disk)["partitions"][-1]
    end = (root["start"] + root["size"]) * 512
    assert size - 2 * MIB <= end <= size
    assert mount(booted, "/")["size"] > 0.9 * root["size"] * 512


def test_the_file_systems_of_fstab_are_mounted_as_it_says(booted: FirstBoot, image: Image) -> None:
    assert booted.facts["fstab"].status == 0, booted.facts["fstab"].text
    for line in image.report.fstab:
        _, path, filesystem, options, *_ = line.split()
        there = mount(booted, path)
        assert there["fstype"] == filesystem
        if path == "/var":
            assert set(options.split(",")) <= set(there["options"].split(","))
    assert mount(booted, "/boot/efi")["partlabel"] == "ESP"


def test_the_machine_has_an_id_of_its_own(booted: FirstBoot) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", booted.facts["machine-id"].text)


def test_the_machine_has_host_keys_of_its_own(booted: FirstBoot) -> None:
    private = {f"ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519")}
    assert set(booted.facts["host-keys"].lines) == private | {f"{name}.pub" for name in private}
    assert booted.facts["host-key-owners"].text == "600 root"


def test_dpkg_finds_every_package_whole_and_every_file_as_it_was_packed(booted: FirstBoot) -> None:
    assert (booted.facts["audit"].text, booted.facts["audit"].status) == ("", 0)
    assert booted.facts["verify"].lines == []


def test_the_packages_are_the_locks(booted: FirstBoot, image: Image) -> None:
    assert versions(booted.facts["packages"].lines) == image.packages


def test_updates_come_from_the_distributions_own_archives(booted: FirstBoot, image: Image) -> None:
    codename = PROVIDER.manifest(image.spec.target.release).codename
    releases = [
        line.split("'")[1] for line in booted.facts["updates"].lines if line.split("'")[1].endswith("/InRelease")
    ]
    assert sorted(releases) == [
        f"https://ftp.debian.org/debian-security/dists/{codename}-security/InRelease",
        f"https://ftp.debian.org/debian/dists/{codename}-updates/InRelease",
        f"https://ftp.debian.org/debian/dists/{codename}/InRelease",
    ]


def test_nothing_went_wrong_that_is_not_explained(booted: FirstBoot) -> None:
    entries = [json.loads(line) for line in booted.facts["errors"].lines]
    said = [(entry.get("SYSLOG_IDENTIFIER", ""), entry["MESSAGE"]) for entry in entries]
    assert [entry for entry in said if not is_justified(*entry)] == []


def test_the_network_is_up_by_dhcp(booted: FirstBoot) -> None:
    assert re.match(r"default via 10\.0\.2\.2 .*proto dhcp", booted.facts["routes"].text)
    assert "10.0.2.15/24" in booted.facts["addresses"].text


def test_names_are_asked_where_dhcp_says(booted: FirstBoot) -> None:
    assert booted.facts["resolver"].text == "/run/systemd/resolve/stub-resolv.conf"
    assert "10.0.2.3" in booted.facts["name-servers"].text


def test_language_and_clock_are_sane(booted: FirstBoot) -> None:
    assert "LANG=C.UTF-8" in booted.facts["locale"].lines
    assert "LC_ALL=" in booted.facts["locale"].lines
    assert booted.facts["zone"].text == "UTC"
    assert booted.started_at - 60 < int(booted.facts["clock"].text) < time.time() + 60


def test_every_file_has_an_owner_and_no_file_is_everybodys(booted: FirstBoot) -> None:
    assert (booted.facts["ownerless"].text, booted.facts["ownerless"].status) == ("", 0)
    assert (booted.facts["writable"].text, booted.facts["writable"].status) == ("", 0)


def test_it_switches_itself_off_and_leaves_its_file_systems_in_order(booted: FirstBoot) -> None:
    assert booted.exit_status == 0
    for partition in partition_table(booted.disk)["partitions"]:
        if partition["name"] != "ESP":
            place = f"{booted.disk}?offset={partition['start'] * 512}"
            say("e2fsck", "-f", "-n", place)
            assert "needs_recovery" not in field(say("dumpe2fs", "-h", place), "Filesystem features")
