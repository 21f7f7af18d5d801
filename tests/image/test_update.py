"""An immutable Debian brings itself to its next version: it takes only what is signed, and keeps what is its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.inspect.image import inspect_image
from image_composer.inspect.model import ImageReport
from image_composer.run import Runner
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Hardware, choose_accelerator, find_firmware
from support.composer import Composer, write_document
from support.guest import BOOT_SECONDS, GROWTH, Fact, Ssh, free_port, read_facts
from support.httpserver import HttpServer
from support.image import VIRTUAL, Credentials, Image, build
from support.marks import on_the_machine
from support.openpgp import Key, Keychain

pytestmark = [pytest.mark.build, pytest.mark.network]

NAME = "gate-updated"
PLACE = "/edge/"
"""Where the newest version is served."""

HOST = "10.0.2.2"
"""The address of 127.0.0.1 as machines of QEMU's user network see it."""

SYSUPDATE = "/usr/lib/systemd/systemd-sysupdate"

SHOWN = b"""
fact() {
    name=$1
    shift
    said=$("$@" 2>&1 </dev/null)
    printf '%s\\0%s\\0%s\\0' "$name" "$?" "$said"
}
fact state systemctl is-system-running --wait
fact failed systemctl list-units --failed --no-legend --plain
fact version sh -c '. /etc/os-release && echo "$IMAGE_ID $IMAGE_VERSION"'
fact command-line cat /proc/cmdline
fact root findmnt --noheadings --output SOURCE /
fact machine-id cat /etc/machine-id
fact host-key cat /etc/ssh/ssh_host_ed25519_key.pub
fact kept cat /etc/mine /var/lib/mine
fact kernels ls /boot/efi/EFI/Linux
"""
"""What a version says about itself on the machine."""


@dataclass(frozen=True)
class Updated:
    """All that was seen of a machine that was updated."""

    unsigned: subprocess.CompletedProcess[bytes]
    """How looking for updates ended when there was no signature."""

    strange: subprocess.CompletedProcess[bytes]
    """The same with the signature of somebody else."""

    listed: str
    """What could be had, with the right signature."""

    before: Mapping[str, Fact]
    after: Mapping[str, Fact]
    blessed: list[str]
    """Kernel images once the new version was found good."""

    exit_status: int
    disk: ImageReport
    """The machine's disk in the end."""


def asked(version: str, url: str, key: str, credentials: Credentials, *outputs: dict[str, str]) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version,
        "target": {"distribution": "debian", "release": "13", "architecture": "x86_64"},
        "packages": ["openssh-server"],
        "kernel": {"package": VIRTUAL},
        "users": [{"name": "alice", "sshAuthorizedKeys": [credentials.public_key], "sudo": "passwordless"}],
        "mutability": "immutable",
        "immutable": {"update": {"url": url, "key": key}},
        "outputs": list(outputs),
    }


@pytest.fixture(scope="module")
def keychain() -> Iterator[Keychain]:
    with Keychain() as keychain:
        yield keychain


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(scope="module")
def signing(keychain: Keychain) -> Key:
    return keychain.make("updates")


@pytest.fixture(scope="module")
def images(
    composer: Composer,
    credentials: Credentials,
    server: HttpServer,
    signing: Key,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Image, Image]]:
    """The version that the machine begins with, as a disk, and the next one of the same packages, as parts."""
    folder = tmp_path_factory.mktemp("image-updated")
    url, key = server.url(PLACE).replace("127.0.0.1", HOST), signing.public.decode()
    raw = asked("1.0", url, key, credentials, {"format": "raw"})
    first = build(composer, write_document(folder, raw, "first.json"), folder / "first")
    formats = ({"format": "root", "compression": "gzip"}, {"format": "root-verity"}, {"format": "uki"})
    parts = asked("1.1", url, key, credentials, *formats)
    lock = first.path("lock.json")
    second = build(composer, write_document(folder, parts, "second.json"), folder / "second", "--lock", lock)
    yield first, second
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def updated(
    images: tuple[Image, Image],
    server: HttpServer,
    keychain: Keychain,
    signing: Key,
    credentials: Credentials,
    tmp_path_factory: pytest.TempPathFactory,
) -> Updated:
    first, second = images
    folder = tmp_path_factory.mktemp("machine-updated")
    disk = folder / "disk.raw"
    create_sparse(disk, first.raw.stat().st_size + GROWTH)
    copy_sparse(first.raw, disk)
    for file in second.folder.iterdir():
        server.serve(f"{PLACE}{file.name}", file.read_bytes())
    sums = (second.folder / "SHA256SUMS").read_bytes()
    runner = Runner()
    hardware = Hardware(choose_accelerator(runner), find_firmware(), snapshot=False, ssh_port=free_port())
    ssh = Ssh(hardware.ssh_port or 0, credentials, folder)
    with Machine(runner, disk, hardware, log=folder / "console.log") as machine:
        machine.wait_for("login: ", BOOT_SECONDS)
        ssh.wait_until_served()
        ssh.run("sudo sh -c 'echo kept in etc >/etc/mine && echo kept in var >/var/lib/mine'")
        before = read_facts(ssh.run("sudo", "-n", "sh", "-s", stdin=SHOWN))
        unsigned = ssh.ask(f"sudo {SYSUPDATE} check-new")
        server.serve(f"{PLACE}SHA256SUMS.gpg", keychain.detach(sums, keychain.make("somebody"), armoured=False))
        strange = ssh.ask(f"sudo {SYSUPDATE} check-new")
        server.serve(f"{PLACE}SHA256SUMS.gpg", keychain.detach(sums, signing, armoured=False))
        listed = ssh.run(f"sudo {SYSUPDATE} list").decode()
        ssh.run("sudo systemctl start --wait systemd-sysupdate.service")
        ssh.ask("sudo systemctl reboot")
        machine.wait_for("reboot: Restarting system", BOOT_SECONDS)
        machine.wait_for("login: ", BOOT_SECONDS)
        ssh.wait_until_served()
        after = read_facts(ssh.run("sudo", "-n", "sh", "-s", stdin=SHOWN))
        blessed = ssh.run("sudo ls /boot/efi/EFI/Linux").decode().split()
        ssh.ask("sudo systemctl poweroff")
        machine.wait_for("reboot: Power down", BOOT_SECONDS)
        exit_status = machine.wait_ended(BOOT_SECONDS)
    report = inspect_image(disk, runner)
    disk.unlink()
    return Updated(unsigned, strange, listed, before, after, blessed, exit_status, report)


def labels(report: ImageReport) -> list[str]:
    return [partition.label for partition in report.partitions]


def test_a_new_machine_has_one_version_and_room_for_another(images: tuple[Image, Image]) -> None:
    report = images[0].report
    assert labels(report) == ["ESP", "root_1.0", "root-verity_1.0", "_empty", "_empty", "var"]
    sizes = [partition.size for partition in report.partitions[1:5]]
    assert sizes[:2] == sizes[2:]
    assert report.os_release["IMAGE_ID"] == NAME
    assert report.os_release["IMAGE_VERSION"] == "1.0"


def test_parts_are_published_under_the_names_that_updates_look_for(images: tuple[Image, Image]) -> None:
    _, second = images
    names = sorted(re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", artifact.file) for artifact in second.result.artifacts)
    stem = f"{NAME}_1.1_x86_64"
    assert names == [f"{stem}.efi", f"{stem}_ID.root.gz", f"{stem}_ID.verity"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=second.folder, check=True)


@on_the_machine
def test_a_version_that_nobody_signed_is_not_believed(updated: Updated) -> None:
    assert updated.unsigned.returncode != 0
    assert "SHA256SUMS.gpg" in updated.unsigned.stderr.decode()


@on_the_machine
def test_a_version_that_somebody_else_signed_is_not_believed(updated: Updated) -> None:
    assert updated.strange.returncode != 0
    assert "No public key" in updated.strange.stderr.decode()


@on_the_machine
def test_a_version_that_is_signed_is_found(updated: Updated) -> None:
    rows = {line.split()[1]: line for line in updated.listed.splitlines() if line.strip().startswith("●")}
    assert "candidate" in updated.listed
    assert "1.1" in rows or "1.1" in updated.listed


@on_the_machine
def test_the_next_version_starts_and_systemd_is_content(updated: Updated) -> None:
    assert [updated.before[name].text for name in ("version", "state", "failed")] == [f"{NAME} 1.0", "running", ""]
    assert [updated.after[name].text for name in ("version", "state", "failed")] == [f"{NAME} 1.1", "running", ""]
    assert updated.exit_status == 0


@on_the_machine
def test_it_runs_from_the_other_slot_which_its_own_root_hash_names(updated: Updated) -> None:
    [found] = re.findall(r"\broothash=([0-9a-f]{64})\b", updated.after["command-line"].text)
    assert found not in updated.before["command-line"].text
    assert updated.after["root"].text == "/dev/mapper/root"
    assert labels(updated.disk) == ["ESP", "root_1.0", "root-verity_1.0", "root_1.1", "root-verity_1.1", "var"]
    halves = [(partition.uuid or "").replace("-", "") for partition in updated.disk.partitions[3:5]]
    assert "".join(halves) == found


@on_the_machine
def test_what_the_disk_has_more_is_var_s(updated: Updated) -> None:
    assert updated.disk.partitions[5].size > GROWTH


@on_the_machine
def test_what_is_the_machine_s_own_stays(updated: Updated) -> None:
    for name in ("machine-id", "host-key", "kept"):
        assert updated.before[name] == updated.after[name]
        assert updated.after[name].status == 0
    assert updated.after["kept"].text == "kept in etc\nkept in var"


@on_the_machine
def test_a_version_that_came_up_is_not_counted_any_more(updated: Updated) -> None:
    assert updated.before["kernels"].lines == [f"{NAME}_1.0.efi"]
    assert updated.blessed == [f"{NAME}_1.0.efi", f"{NAME}_1.1.efi"]
