"""A finished image that is broken in one way is not published, and the check that names it is the right one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from image_composer.inspect.ext4 import Ext4
from image_composer.inspect.model import PartitionFound
from image_composer.inspect.raw import open_raw
from image_composer.inspect.table import read_table
from image_composer.run import Runner
from support.composer import Composer, Outcome
from support.disks import say

pytestmark = [pytest.mark.network]

CANARY = "canary-5f3c0a9d21"
"""A value of the builder's environment."""

KEPT = ("spec.json", "lock.json", "assemble.json", "disk.json", "disk.raw", "images", "images.json", "evidence")
"""What `verify` reads of a workspace."""


@dataclass(frozen=True)
class Copy:
    """A copy of a finished workspace, to be broken."""

    workspace: Path

    @property
    def disk(self) -> Path:
        return self.workspace / "disk.raw"

    @cached_property
    def partitions(self) -> dict[str, PartitionFound]:
        with open_raw(self.disk, Runner()) as image:
            return {partition.label: partition for partition in read_table(image)[2]}

    def read(self, path: str) -> bytes:
        with open_raw(self.disk, Runner()) as image:
            content = Ext4(image, self.partitions["root"].start).read(path)
        assert content is not None, path
        return content

    def change(self, *commands: str) -> None:
        """Let debugfs change the root."""
        script = self.workspace / "script"
        script.write_text("".join(f"{command}\n" for command in commands))
        say("debugfs", "-w", "-f", script, f"{self.disk}?offset={self.partitions['root'].start}")

    def put(self, path: str, content: bytes, mode: int = 0o100644) -> None:
        """Put a file into the root, in place of one that is there."""
        new = self.workspace / "new"
        new.write_bytes(content)
        self.change(f"rm {path}", f"write {new} {path}", f"set_inode_field {path} mode 0{mode:o}")

    def overwrite(self, offset: int, content: bytes) -> None:
        with self.disk.open("r+b") as stream:
            stream.seek(offset)
            stream.write(content)

    def replace_everywhere(self, old: bytes, new: bytes, label: str) -> int:
        """Replace bytes by as many others in a partition; says how often."""
        place = self.partitions[label]
        with self.disk.open("r+b") as stream:
            stream.seek(place.start)
            content = stream.read(place.size)
            stream.seek(place.start)
            stream.write(content.replace(old, new))
        return content.count(old)

    def edit(self, name: str, change: Callable[[Any], object]) -> None:
        """Change a JSON file of the workspace."""
        path = next(iter(self.workspace.glob(name)))
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document))


def copy_of(workspace: Path, folder: Path) -> Copy:
    folder.mkdir()
    for name in KEPT:
        say("cp", "-a", "--sparse=always", workspace / name, folder / name)
    return Copy(folder)


def verify(composer: Composer, copy: Copy) -> tuple[Outcome, dict[str, Any]]:
    outcome = replace(composer, environment={**composer.environment, "SECRET_TOKEN": CANARY}).run(
        "stage", "verify", "--workspace", copy.workspace
    )
    return outcome, json.loads((copy.workspace / "verify.json").read_bytes())


def outcomes(verification: Mapping[str, Any]) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in verification["checks"]}


def private_key(folder: Path) -> bytes:
    say("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "made")
    return (folder / "made").read_bytes()


def end_the_second_table(copy: Copy) -> None:
    copy.overwrite(copy.disk.stat().st_size - 512, bytes(512))


def cut_it_off(copy: Copy) -> None:
    with copy.disk.open("r+b") as stream:
        stream.truncate(copy.disk.stat().st_size - (1 << 20))


def break_ext4(copy: Copy) -> None:
    copy.change("clri /etc/hostname")


def break_fat(copy: Copy) -> None:
    copy.overwrite(copy.partitions["ESP"].start + 32 * 512 + 12, b"\x07\x00\x00\x00")


def take_the_loader(copy: Copy) -> None:
    say("mdel", "-i", f"{copy.disk}@@{copy.partitions['ESP'].start}", "::EFI/BOOT/BOOTX64.EFI")


def start_from_elsewhere(copy: Copy) -> None:
    uuid = copy.partitions["root"].uuid or ""
    other = f"{uuid[:-4]}0000"
    assert copy.replace_everywhere(f"PARTUUID={uuid}".encode(), f"PARTUUID={other}".encode(), "ESP") == 1


def forget_a_package(copy: Copy) -> None:
    status = copy.read("/var/lib/dpkg/status").decode()
    copy.put("/var/lib/dpkg/status", re.sub(r"(?m)^Package: tiny-boot$", "Package: tiny-boat", status).encode())


def misstate_a_version(copy: Copy) -> None:
    def change(sbom: Any) -> None:
        next(item for item in sbom["packages"] if item["name"] == "tiny-boot")["versionInfo"] = "9.9"

    copy.edit("evidence/*.spdx.json", change)


def leave_a_host_key(copy: Copy) -> None:
    copy.put("/etc/ssh_host_rsa_key.pub", b"ssh-rsa AAAA\n")
    copy.change(
        "mkdir /etc/ssh",
        "ln /etc/ssh_host_rsa_key.pub /etc/ssh/ssh_host_rsa_key.pub",
        "unlink /etc/ssh_host_rsa_key.pub",
    )


def be_one_machine(copy: Copy) -> None:
    copy.put("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n", 0o100444)


def leave_a_private_key(copy: Copy) -> None:
    copy.put("/root/server.pem", private_key(copy.workspace))


def leave_a_token(copy: Copy) -> None:
    copy.put("/etc/motd", f"built with {CANARY}\n".encode())


def leave_a_path(copy: Copy) -> None:
    copy.put("/etc/motd", f"built in {copy.workspace}/root\n".encode())


def leave_history(copy: Copy) -> None:
    copy.put("/root/.bash_history", b"reboot\n", 0o100600)


def open_root(copy: Copy) -> None:
    copy.put("/etc/shadow", b"root::20000:0:99999:7:::\n", 0o100640)


def let_anybody_write(copy: Copy) -> None:
    copy.put("/etc/profile.local", b"", 0o100666)


def run_as_root(copy: Copy) -> None:
    copy.put("/usr/bin/become", b"#!/bin/sh\n", 0o104755)


def want_it_smaller(copy: Copy) -> None:
    copy.edit("spec.json", lambda spec: spec["image"]["verify"].update(maxDiskSize="64MiB"))


def deliver_nothing(copy: Copy) -> None:
    for path in (copy.workspace / "images").iterdir():
        path.write_bytes(b"")


BREAKS: Sequence[tuple[Callable[[Copy], None], str, str]] = (
    (end_the_second_table, "partition-table", "the second copy of the table is missing"),
    (cut_it_off, "partition-table", "the table is that of a larger disk"),
    (break_ext4, "file-systems", "root: "),
    (break_fat, "file-systems", "ESP: "),
    (take_the_loader, "boot-files", "there is no /EFI/BOOT/BOOTX64.EFI"),
    (start_from_elsewhere, "command-line", "which is not on the disk"),
    (forget_a_package, "packages", "only the package database has tiny-boat"),
    (misstate_a_version, "packages", "only the SBOM has tiny-boot 9.9"),
    (leave_a_host_key, "identity", "/etc/ssh/ssh_host_rsa_key.pub belongs to one machine"),
    (be_one_machine, "identity", "/etc/machine-id holds the id of one machine"),
    (leave_a_private_key, "secrets", "/root/server.pem holds a private key"),
    (leave_a_token, "secrets", "/etc/motd holds the value of the builder's SECRET_TOKEN"),
    (leave_a_path, "host-paths", "/etc/motd names "),
    (leave_history, "traces", "/root/.bash_history was left behind"),
    (open_root, "rights", "the account root has no password"),
    (let_anybody_write, "rights", "anybody may write to /etc/profile.local"),
    (run_as_root, "rights", "/usr/bin/become runs with its owner's rights"),
    (want_it_smaller, "size", "more than the 64.0 MiB of verify.maxDiskSize"),
    (deliver_nothing, "size", "is empty"),
)


def test_a_sound_image_passes_every_check(bootable: Composer, finished: Path, tmp_path: Path) -> None:
    outcome, verification = verify(bootable, copy_of(finished, tmp_path / "copy"))
    assert outcome.status == 0, outcome.said
    unlike = {name: how for name, how in outcomes(verification).items() if how != "passed"}
    assert unlike == {"verity": "skipped", "signatures": "skipped"}


@pytest.mark.parametrize(("damage", "name", "said"), BREAKS, ids=[each[0].__name__ for each in BREAKS])
def test_what_is_wrong_is_named_by_its_check_and_nothing_else_is_blamed(
    bootable: Composer, finished: Path, tmp_path: Path, damage: Callable[[Copy], None], name: str, said: str
) -> None:
    copy = copy_of(finished, tmp_path / "copy")
    damage(copy)
    outcome, verification = verify(bootable, copy)
    assert (outcome.status, outcome.code) == (1, "VERIFY_FAILED"), outcome.said
    assert said in outcome.error
    failed = {check: how for check, how in outcomes(verification).items() if how == "failed"}
    if damage is not cut_it_off:  # of a disk that is cut off, nothing can be read
        assert failed == {name: "failed"}, outcome.error
    assert name in failed
    assert CANARY not in outcome.said
    assert CANARY not in json.dumps(verification)


@pytest.mark.boot
def test_an_image_whose_boot_loader_crashes_is_not_published(
    bootable: Composer, finished: Path, tmp_path: Path
) -> None:
    """The boot loader of these images has no code worth the name: firmware says so within seconds."""
    copy = copy_of(finished, tmp_path / "copy")
    copy.edit("spec.json", lambda spec: spec["image"]["verify"].update(boot=True))
    outcome, verification = verify(bootable, copy)
    assert (outcome.status, outcome.code) == (1, "VERIFY_BOOT_FAILED"), outcome.said
    assert "failed: what the firmware started has crashed" in outcome.error
    assert "the console's last lines:" in outcome.error
    assert (verification["boot"]["outcome"], verification["boot"]["marker"]) == ("failed", "none")
    assert set(outcomes(verification).values()) == {"passed", "skipped"}
    assert b"BdsDxe" in (copy.workspace / "console.log").read_bytes()
