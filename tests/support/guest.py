"""Starts an image as its first machine would, tries to get in by every way, and lets it say what it is like."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.run import Runner
from image_composer.settings import GIB
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Firmware, Hardware, choose_accelerator, find_firmware
from support.image import Credentials, Image

FACTS = Path(__file__).with_name("facts.sh")

GROWTH = 2 * GIB
"""Bytes that the machine's disk is larger than the image."""

BOOT_SECONDS = 600.0
"""For what takes one to two minutes without KVM on an idle machine."""

ANSWER_SECONDS = 120.0
"""For what takes a few seconds there."""

PROMPT = r"\n\S*\$ "
"""bob's, whose shell is sh; what is before the dollar differs."""


@dataclass(frozen=True)
class Fact:
    """What one command said on the machine."""

    status: int
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass(frozen=True)
class FirstBoot:
    """All that was seen of a machine from its start to its end."""

    disk: Path
    """Its disk, afterwards."""

    facts: Mapping[str, Fact]
    attempts: Mapping[tuple[str, str], bool]
    """Whether a user and a password let somebody in at the console, in the order of trying."""

    session: str
    """Shell, folder and language of bob's session at the console."""

    state: str
    """What systemd said at the end of starting."""

    bob_with_sudo: str
    """User id that bob has with sudo and his password."""

    passwords_over_ssh: subprocess.CompletedProcess[str]
    """How trying wrong passwords over SSH ended."""

    login_seconds: float
    """From the start to the console's prompt."""

    started_at: float
    exit_status: int
    """QEMU's, after the machine was told to power off."""


@dataclass(frozen=True)
class Ssh:
    """Connections to the machine, each made anew."""

    port: int
    credentials: Credentials
    scratch: Path

    def run(self, *command: str, stdin: bytes = b"") -> bytes:
        """Run a command as alice, who has a key; it must end well."""
        done = self.ask(*command, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def ask(self, *command: str, stdin: bytes = b"", user: str = "alice") -> subprocess.CompletedProcess[bytes]:
        """Run a command as alice, or whoever her key lets in, and give how it ended."""
        argv = [*self._client("IdentitiesOnly=yes", "BatchMode=yes"), "-i", str(self.credentials.key)]
        words = [*argv, f"{user}@127.0.0.1", *command]
        return subprocess.run(words, input=stdin, capture_output=True, timeout=BOOT_SECONDS, check=False)

    def lets_in(self, user: str) -> bool:
        """Say whether the server lets somebody in with alice's key."""
        return self.ask("true", user=user).returncode == 0

    def wait_until_served(self) -> None:
        """Wait until the server lets alice in: being started, as systemd sees it, is not listening yet.

        A whole session each time, since the server logs connections that break off as errors.
        """
        deadline = time.monotonic() + BOOT_SECONDS
        while not self.lets_in("alice"):
            assert time.monotonic() < deadline, "the machine has no SSH server"
            time.sleep(0.5)

    def try_passwords(self, user: str, *passwords: str) -> subprocess.CompletedProcess[str]:
        """Try some passwords one after another."""
        answers, program = self.scratch / "answers", self.scratch / "askpass"
        answers.write_text("".join(f"{password}\n" for password in passwords))
        program.write_text(f"#!/bin/sh\nhead -n 1 '{answers}'\nsed -i 1d '{answers}'\n")
        program.chmod(0o700)
        options = ("PubkeyAuthentication=no", f"NumberOfPasswordPrompts={len(passwords)}")
        return subprocess.run(
            [*self._client(*options), f"{user}@127.0.0.1", "id"],
            env={"PATH": "/usr/bin:/bin", "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BOOT_SECONDS,
            check=False,
        )

    def _client(self, *options: str) -> list[str]:
        known = f"UserKnownHostsFile={self.scratch / 'known_hosts'}"
        fixed = ("StrictHostKeyChecking=no", known, "LogLevel=ERROR", f"ConnectTimeout={ANSWER_SECONDS:.0f}")
        return ["ssh", "-F", "none", "-p", str(self.port), *(f"-o{option}" for option in (*fixed, *options))]


@dataclass(frozen=True)
class SerialConsole:
    """The machine's serial console, at its login prompt."""

    machine: Machine

    def log_in(self, user: str, password: str) -> bool:
        """Try a password; the prompt is there again when it was refused."""
        self.machine.send(f"{user}\n")
        self.machine.wait_for("Password: ", ANSWER_SECONDS)
        self.machine.send(f"{password}\n")
        if "incorrect" in self.machine.wait_for(rf"Login incorrect|{PROMPT}", ANSWER_SECONDS)[0]:
            self.machine.wait_for("login: ", ANSWER_SECONDS)
            return False
        return True

    def ask(self, command: str, seconds: float = ANSWER_SECONDS) -> str:
        """Give the one line that a command prints; the prompt is there again then, so nothing typed next is lost."""
        self.machine.send(f'echo "<$({command})>"\n')
        return self.machine.wait_for(rf"\n<([^$\n]*)>{PROMPT}", seconds)[1]


def in_setup_mode(folder: Path) -> Firmware:
    """Give firmware with Secure Boot that knows no key yet; what it is told is kept in a folder."""
    found = find_firmware(secure=True)
    variables = folder / "variables.fd"
    shutil.copyfile(found.variables, variables)
    return replace(found, variables=variables, kept=True)


def first_boot(
    image: Image, credentials: Credentials, folder: Path, firmware: Firmware | None = None, *, bios: bool = False
) -> FirstBoot:
    """Start a machine from a copy of an image on a larger disk, look around and switch it off.

    Args:
        image: the image.
        credentials: of its users.
        folder: for the disk.
        firmware: of the machine; without Secure Boot when absent.
        bios: whether it has a BIOS instead.
    """
    disk = folder / "disk.raw"
    create_sparse(disk, image.raw.stat().st_size + GROWTH)
    copy_sparse(image.raw, disk)
    runner = Runner()
    firmware = None if bios else firmware or find_firmware()
    hardware = Hardware(choose_accelerator(runner), firmware, snapshot=False, ssh_port=free_port())
    started_at, began = time.time(), time.monotonic()
    with Machine(runner, disk, hardware, log=folder / "console.log") as machine:
        machine.wait_for("login: ", BOOT_SECONDS)
        login_seconds = time.monotonic() - began
        console, attempts = SerialConsole(machine), {}
        for user, password in (("bob", "wrong"), ("bob", ""), ("root", ""), ("bob", credentials.password)):
            attempts[user, password] = console.log_in(user, password)
        session = console.ask("echo $0 $PWD $LANG")
        state = console.ask("systemctl is-system-running --wait", BOOT_SECONDS)
        ssh = Ssh(hardware.ssh_port or 0, credentials, folder)
        ssh.wait_until_served()
        facts = read_facts(ssh.run("sudo", "-n", "sh", "-s", stdin=FACTS.read_bytes()))
        passwords_over_ssh = ssh.try_passwords("alice", "wrong", "")
        machine.send("sudo -p 'password of %u: ' id -u\n")
        machine.wait_for("password of bob: ", ANSWER_SECONDS)
        machine.send(f"{credentials.password}\n")
        bob_with_sudo = machine.wait_for(rf"\n([0-9]+){PROMPT}", ANSWER_SECONDS)[1]
        machine.send("sudo systemctl poweroff\n")
        machine.wait_for("reboot: Power down", BOOT_SECONDS)
        exit_status = machine.wait_ended(BOOT_SECONDS)
    return FirstBoot(
        disk=disk,
        facts=facts,
        attempts=attempts,
        session=session,
        state=state,
        bob_with_sudo=bob_with_sudo,
        passwords_over_ssh=passwords_over_ssh,
        login_seconds=login_seconds,
        started_at=started_at,
        exit_status=exit_status,
    )


def read_facts(printed: bytes) -> dict[str, Fact]:
    """Read what facts.sh prints."""
    fields = printed.decode().split("\0")
    assert fields.pop() == "", "the facts are cut off"
    return {
        name: Fact(int(status), text)
        for name, status, text in zip(fields[0::3], fields[1::3], fields[2::3], strict=True)
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def versions(lines: list[str]) -> dict[str, str]:
    """Give versions by name of lines `name version status`, all of which must be installed."""
    rows = [re.split(" ", line) for line in lines]
    assert {row[2] for row in rows} == {"installed"}
    return {row[0]: row[1] for row in rows}
