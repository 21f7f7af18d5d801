from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from image_composer.errors import ToolError, VerifyError
from image_composer.run import Runner
from image_composer.verify.boot import Machine, interactive
from image_composer.verify.qemu import Firmware, Hardware

ECHO_STATUS = (ord("q") << 1) | 1
"""QEMU ends with it when `q` is typed at the disk's boot sector."""

SECONDS = 60.0
"""For what takes one on an idle machine."""

Disk = Callable[[str], Path]


def processes_of(image: Path) -> list[int]:
    """Processes whose command line names the image."""
    name = str(image).replace(",", ",,").encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if name in line and b"qemu" in line:
            found.append(int(entry.parent.name))
    return found


def gone(pid: int) -> bool:
    """Wait until a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], SECONDS)[0])
    finally:
        os.close(descriptor)


def test_the_console_can_be_followed_and_typed_at(disk: Disk, hardware: Hardware, tmp_path: Path) -> None:
    with Machine(Runner(), disk("hello\r\nlogin: "), hardware, log=tmp_path / "console.log") as machine:
        assert machine.wait_for(r"log(\w+): ", SECONDS)[1] == "in"
        machine.send("login: x")
        machine.wait_for("login: x", SECONDS)
        machine.send("q")
        assert machine.wait_ended(SECONDS) == ECHO_STATUS
    assert machine.console.endswith("hello\nlogin: login: x")
    assert (tmp_path / "console.log").read_bytes().endswith(b"hello\r\nlogin: login: x")


def test_a_machine_that_does_not_say_it_in_time_shows_what_it_said(disk: Disk, hardware: Hardware) -> None:
    with Machine(Runner(), disk("Kernel panic"), hardware) as machine:
        machine.wait_for("panic", SECONDS)
        with pytest.raises(VerifyError, match="Kernel panic") as caught:
            machine.wait_for("login:", 0.1)
        assert caught.value.code == "VERIFY_TIMEOUT"
        with pytest.raises(VerifyError, match="did not end") as caught:
            machine.wait_ended(0.1)


def test_a_machine_that_ends_early_is_noticed_at_once(disk: Disk, hardware: Hardware) -> None:
    with Machine(Runner(), disk("bye"), hardware) as machine:
        machine.wait_for("bye", SECONDS)
        machine.send("q")
        with pytest.raises(VerifyError, match="bye") as caught:
            machine.wait_for("login:", SECONDS)
        assert caught.value.code == "VERIFY_ENDED"


def test_what_qemu_complains_about_is_shown(tmp_path: Path, hardware: Hardware) -> None:
    machine = Machine(Runner(), tmp_path / "missing.raw", hardware)
    with machine, pytest.raises(VerifyError, match=r"missing\.raw"):
        machine.wait_for("login:", SECONDS)


def test_no_machine_is_left_whatever_happens(disk: Disk, hardware: Hardware) -> None:
    image = disk("up")

    def fail() -> None:
        with Machine(Runner(), image, hardware) as machine:
            machine.wait_for("up", SECONDS)  # before it runs, its process may still be on the way to be QEMU
            assert processes_of(image) == [machine.pid]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert processes_of(image) == []


def test_the_image_is_as_it_was(disk: Disk, hardware: Hardware) -> None:
    image = disk("up")
    before = image.read_bytes()
    with Machine(Runner(), image, hardware) as machine:
        machine.wait_for("up", SECONDS)
    assert image.read_bytes() == before


def test_the_firmwares_variables_are_as_they_were(disk: Disk, hardware: Hardware, tmp_path: Path) -> None:
    """The code is all `hlt`: that it says nothing is part of the test."""
    code, variables = tmp_path / "code.fd", tmp_path / "variables.fd"
    code.write_bytes(b"\xf4" * 65536)
    variables.write_bytes(b"\0" * 65536)
    variables.chmod(0o444)
    firmware = Firmware(code, variables)
    with Machine(Runner(), disk("up"), Hardware(memory_mib=32, firmware=firmware)) as machine:
        assert str(variables) not in Path(f"/proc/{machine.pid}/cmdline").read_text()
        with pytest.raises(VerifyError, match=r"\(nothing\)"):
            machine.wait_for("up", 0.2)


def test_a_killed_composer_takes_its_machine_with_it(disk: Disk) -> None:
    image = disk("up")
    program = (
        "import sys, signal, pathlib\n"
        "from image_composer.run import Runner\n"
        "from image_composer.verify.boot import Machine\n"
        "from image_composer.verify.qemu import Hardware\n"
        "with Machine(Runner(), pathlib.Path(sys.argv[1]), Hardware(memory_mib=32)) as machine:\n"
        "    machine.wait_for('up', 60)\n"
        "    print(machine.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    scratch = {**os.environ, "TMPDIR": str(image.parent)}  # what is killed can't tidy up
    command = [sys.executable, "-c", program, str(image)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=scratch) as composer:
        assert composer.stdout is not None
        machine = int(composer.stdout.readline())
        assert processes_of(image) == [machine]
        composer.kill()
        assert gone(machine)


INTERACTIVE = """
import sys, pathlib
from image_composer.run import Runner
from image_composer.verify.boot import interactive
from image_composer.verify.qemu import Hardware
try:
    interactive(Runner(), pathlib.Path(sys.argv[1]), Hardware(memory_mib=32))
except KeyboardInterrupt:
    sys.exit(130)
"""


def read_until(terminal: int, text: bytes) -> bytes:
    said = b""
    while text not in said:
        assert select.select([terminal], [], [], SECONDS)[0], f"the terminal only said {said!r}"
        said += os.read(terminal, 4096)
    return said


@pytest.mark.parametrize(("typed", "status"), [(b"\x03", 130), (b"\x01x", 0)], ids=["ctrl-c", "ctrl-a x"])
def test_the_terminal_is_the_machines_until_it_ends(disk: Disk, typed: bytes, status: int) -> None:
    image = disk("login: ")
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = ["setsid", "--ctty", "--wait", sys.executable, "-c", INTERACTIVE, str(image)]
    try:
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as composer:
            read_until(ours, b"login: ")
            os.write(ours, b"root")
            read_until(ours, b"root")
            os.write(ours, typed)
            assert composer.wait(SECONDS) == status
        assert processes_of(image) == []
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


def test_an_interrupt_of_the_composer_alone_ends_the_machine_too(disk: Disk) -> None:
    image = disk("login: ")
    command = [sys.executable, "-c", INTERACTIVE, str(image)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as composer:
        assert composer.stdout is not None
        read_until(composer.stdout.fileno(), b"login: ")
        composer.send_signal(signal.SIGINT)
        assert composer.wait(SECONDS) == 130
    assert processes_of(image) == []


def test_an_image_that_is_not_there_is_qemus_to_explain(tmp_path: Path, hardware: Hardware) -> None:
    with pytest.raises(ToolError, match=r"missing\.raw"):
        interactive(Runner(), tmp_path / "missing.raw", hardware)
