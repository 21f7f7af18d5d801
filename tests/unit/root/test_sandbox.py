"""The sandbox, for real: what is within reach of a program that a package or a user brings."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image_composer.errors import AssemblyError, SandboxError, ToolError
from image_composer.root.idmap import IdMap
from image_composer.root.sandbox import CAPABILITIES, ENVIRONMENT, Sandbox
from image_composer.root.sandbox_mounts import DEVICES
from image_composer.run import Runner
from support.sandboxes import install_programs, processes_with, sandbox

DEADLINE = 20.0
"""Seconds in which a process that was killed must be gone, on the busiest machine."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    made = sandbox(tmp_path_factory.mktemp("workspace"), SOURCE_DATE_EPOCH="1700000000")
    install_programs(made)
    return made


def said(made: Sandbox, script: str) -> str:
    return made.run(["sh", "-c", script]).stdout.decode()


def test_only_processes_of_the_sandbox_are_seen(box: Sandbox) -> None:
    """The first is ours, and what it holds is closed to those it looks after."""
    names = {name for name in said(box, "ls /proc").split() if name.isdigit()}
    assert names == {"1", "2", "3"}
    assert said(box, "cat /proc/1/environ 2>&1; ls /proc/1/fd/ 2>&1; true").count("Permission denied") == 2


def test_the_network_is_an_empty_loopback_of_its_own(box: Sandbox) -> None:
    assert [line.split(":")[0].strip() for line in said(box, "cat /proc/net/dev").splitlines()[2:]] == ["lo"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = "socket(S, 2, 1, 0) or die 1; print connect(S, pack('Sna4x8', 2, $ARGV[0], pack('C4', 127, 0, 0, 1)))"
        connect += " ? 'connected' : $!"
        assert box.run(["perl", "-e", connect, str(port)]).stdout == b"Network is unreachable"


def test_sockets_of_the_host_without_a_file_are_out_of_reach(box: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(b"\0image-composer-test-%d" % os.getpid())
        server.listen()
        name = server.getsockname().decode().removeprefix("\0")
        connect = "socket(S, 1, 1, 0) or die 1; print connect(S, pack('Sxa*', 1, $ARGV[0])) ? 'connected' : $!"
        assert box.run(["perl", "-e", connect, name]).stdout == b"Connection refused"


def test_devices_are_the_harmless_ones_and_none_can_be_made(box: Sandbox) -> None:
    assert set(said(box, "ls /dev").split()) == {*DEVICES, "fd", "shm", "stderr", "stdin", "stdout"}
    assert said(box, "echo x > /dev/null; cat /dev/null; echo ok") == "ok\n"
    for kind in ("b 8 0", "c 1 1", "c 1 3"):
        refused = box.run(["sh", "-c", f"mknod /tmp/device {kind}"], check=False)
        assert refused.returncode != 0
        assert b"Operation not permitted" in refused.stderr


def test_the_environment_is_ours_to_the_last_word(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = dict(line.split("=", 1) for line in box.run(["env"], env={"MORE": "1"}).stdout.decode().splitlines())
    assert found == {**ENVIRONMENT, "SOURCE_DATE_EPOCH": "1700000000", "MORE": "1"}


def test_files_of_the_host_are_not_there(box: Sandbox) -> None:
    near, far = box.workspace.parent, Path.home()
    with tempfile.NamedTemporaryFile(dir=near) as one, tempfile.NamedTemporaryFile(dir=far) as other:
        for canary in (one.name, other.name, str(Path(__file__)), str(box.workspace), "/sys/kernel", "/run/systemd"):
            assert said(box, f"ls {canary} 2>&1 || true").endswith("No such file or directory\n")
        top = set(said(box, "ls /").split())
    assert top <= {"bin", "dev", "lib", "lib64", "proc", "run", "sys", "tmp", "usr"}
    shown = "cmdline partitions diskstats swaps interrupts"
    assert said(box, f"cd /proc; for f in {shown}; do [ -e $f ] && cat $f; done; ls fs bus 2>/dev/null") .split() in (
        ["bus:", "fs:"],
        ["fs:", "bus:"],
    )  # fmt: skip


def test_the_kernel_s_settings_are_read_only(box: Sandbox) -> None:
    refused = box.run(["sh", "-c", "echo x > /proc/sys/kernel/core_pattern"], check=False)
    assert b"Read-only file system" in refused.stderr


def test_rights_are_few_and_no_more_can_be_gained(box: Sandbox) -> None:
    status = dict(line.split(":\t", 1) for line in said(box, "cat /proc/self/status").splitlines() if ":\t" in line)
    expected = sum(1 << number for number in CAPABILITIES.values())
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == expected
    assert (int(status["CapInh"], 16), int(status["CapAmb"], 16)) == (0, 0)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split() == ["0"] * 4
    assert status["Groups"].strip() == ""


def test_system_calls_are_filtered(box: Sandbox) -> None:
    """unshare is refused, and fsync succeeds though a pipe can't do it."""
    numbers = {"x86_64": (272, 74), "aarch64": (97, 82)}[os.uname().machine]
    calls = "print syscall($ARGV[0], 0x10000000), ' ', $! + 0, ' '; $! = 0; print syscall($ARGV[1], 1), ' ', $! + 0"
    assert box.run(["perl", "-e", calls, *map(str, numbers)]).stdout == b"-1 1 0 0"


def test_programs_end_by_a_broken_pipe_as_everywhere_else(box: Sandbox) -> None:
    """Python ignores the signal, and would hand that down."""
    status = dict(line.split(":\t", 1) for line in said(box, "cat /proc/self/status").splitlines() if ":\t" in line)
    assert not int(status["SigIgn"], 16) & 1 << (signal.SIGPIPE - 1)
    assert int(status["SigBlk"], 16) == 0


def test_standard_input_is_empty(box: Sandbox) -> None:
    assert box.run(["cat"]).stdout == b""


def test_files_made_inside_belong_to_the_range_outside(box: Sandbox) -> None:
    said(box, "touch /made")
    made = [{"kind": "write", "path": "/of-a-user", "content": "", "mode": 0o600, "uid": 1000, "gid": 1001}]
    box.act("apply", operations=made)
    status = (box.workspace / "root/made").stat()
    of_a_user = (box.workspace / "root/of-a-user").stat()
    if box.ids.direct:
        assert (status.st_uid, status.st_gid) == (box.ids.uid_base, box.ids.gid_base)
        assert (of_a_user.st_uid, of_a_user.st_gid) == (box.ids.uid_base + 1000, box.ids.gid_base + 1001)
    else:
        assert status.st_uid == os.geteuid()
        assert of_a_user.st_uid == box.ids.uid_base + 999
    (box.workspace / "root/made").unlink()


def test_packages_can_be_read_only_and_the_exchange_written(box: Sandbox) -> None:
    (box.workspace / "packages/a.deb").write_text("package")
    (box.workspace / "packages/a.deb").chmod(0o644)
    place = "/run/image-composer"
    assert said(box, f"cat {place}/packages/a.deb; echo left > {place}/exchange/x") == "package"
    assert (box.workspace / "exchange/x").read_text() == "left\n"
    refused = box.run(["touch", f"{place}/packages/b"], check=False)
    assert b"Read-only file system" in refused.stderr


def test_a_program_can_be_covered_by_a_stand_in_while_another_runs(box: Sandbox) -> None:
    (box.workspace / "nothing").write_text("#!/bin/sh\necho covered\n")
    (box.workspace / "nothing").chmod(0o755)
    shadows = {"/usr/bin/ls": "nothing", "/usr/bin/missing": "nothing"}
    assert box.run(["ls", "/"], shadows=shadows).stdout == b"covered\n"
    assert b"covered" not in box.run(["ls", "/"]).stdout
    assert not (box.workspace / "root/usr/bin/missing").exists()


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("echo why >&2; exit 3", "TOOL_FAILED", "failed with status 3\nwhy"),
        ("kill -9 $$", "TOOL_FAILED", "failed with status 137"),
        ("exit 125", "TOOL_FAILED", "failed with status 125"),
    ],
)
def test_a_failing_program_is_explained(box: Sandbox, script: str, code: str, message: str) -> None:
    with pytest.raises(ToolError) as caught:
        box.run(["sh", "-c", script])
    assert caught.value.code == code
    assert message in caught.value.message


def test_a_missing_program_is_named(box: Sandbox) -> None:
    with pytest.raises(ToolError, match="beos: No such file or directory"):
        box.run(["beos"])


def test_the_host_s_programs_run_without_network_and_without_its_files(box: Sandbox) -> None:
    tools = box.tools()
    assert tools.run(["cat", "/proc/net/dev"]).stdout.count(b":") == 1
    with tempfile.NamedTemporaryFile(dir=Path.home()) as canary, pytest.raises(ToolError, match="No such file"):
        tools.run(["cat", canary.name])
    (box.workspace / "exchange/from-host").write_text("seen")
    assert tools.run(["cat", box.workspace / "exchange/from-host"]).stdout == b"seen"
    assert tools.run(["cat"], stdin=b"given").stdout == b"given"
    with pytest.raises(ToolError, match="Read-only file system"):
        tools.run(["touch", "/usr/canary"])


COMPOSER = """
import sys
from pathlib import Path
from support.sandboxes import sandbox
sandbox(Path(sys.argv[1])).run(["sh", "-c", "sleep 1000 & sleep 1000; true", sys.argv[2]])
"""


@pytest.fixture
def running(box: Sandbox, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A composer of its own that runs a program with a child of its own in a sandbox, and what their lines hold."""
    marker = f"marker-of-{tmp_path.name}-{os.getpid()}"
    path = os.pathsep.join(sys.path)
    argv = [sys.executable, "-c", COMPOSER, str(box.workspace), marker]
    with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE) as composer:
        wait_until(lambda: set(processes_with(marker)) - {composer.pid})
        yield composer, marker
        composer.kill()


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def sandboxed(pid: int) -> set[int]:
    """Give all processes below one."""
    found = {pid}
    while True:
        more = {child for parent in found for child in children(parent)} | found
        if more == found:
            return found - {pid}
        found = more


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.parametrize("victim", ["composer", "launcher"])
def test_nothing_outlives_the_composer_or_the_launcher(
    running: tuple[subprocess.Popen[bytes], str], box: Sandbox, victim: str
) -> None:
    composer, marker = running
    wait_until(lambda: len(sandboxed(composer.pid)) >= 5)  # launcher, holder, init, sh and sleep
    below = sandboxed(composer.pid)
    (launcher,) = children(composer.pid)
    os.kill(composer.pid if victim == "composer" else launcher, signal.SIGKILL)
    composer.wait(DEADLINE)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    assert not processes_with(marker)
    assert str(box.workspace) not in Path("/proc/self/mountinfo").read_text()
    if victim == "launcher":
        assert composer.stderr is not None
        assert b"was ended by SIGKILL" in composer.stderr.read()


def test_nothing_is_left_of_programs_that_go_on_in_the_background(box: Sandbox) -> None:
    marker = f"background-{os.getpid()}"
    box.run(["sh", "-c", f"sh -c 'sleep 1000; true' {marker} > /dev/null 2>&1 & exit 0"])
    assert not processes_with(marker)


@pytest.fixture
def bare(tmp_path: Path) -> Sandbox:
    """A sandbox with an empty root."""
    return sandbox(tmp_path)


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("proc", "/etc"),
        ("dev", "usr"),
        ("sys", ".."),
        ("tmp", "/etc"),
        ("run", "nowhere"),
    ],
)
def test_a_root_with_a_link_at_a_mount_point_is_refused(bare: Sandbox, place: str, target: str) -> None:
    (bare.workspace / "root" / place).symlink_to(target)
    with pytest.raises(AssemblyError, match=f"/{place} is a symbolic link, where a folder or a file is") as caught:
        bare.act("match", system=True, patterns=[])
    assert caught.value.code == "ASSEMBLE_ROOT_UNUSABLE"


def test_a_program_below_a_link_is_not_covered(bare: Sandbox) -> None:
    """The link leads to the host's programs, and the stand-in must not cover those."""
    (bare.workspace / "root/usr").symlink_to("/usr")
    with pytest.raises(AssemblyError, match="/usr/bin/sh is a symbolic link"):
        bare.run(["sh"], shadows={"/usr/bin/sh": "packages"})


def test_the_exchange_folder_never_covers_what_a_link_leads_to(bare: Sandbox, tmp_path: Path) -> None:
    (bare.workspace / "root/tmp").symlink_to(tmp_path)
    with pytest.raises(AssemblyError, match="/tmp is a symbolic link"):
        bare.act("match", exchange=True, patterns=[])


def test_a_file_where_a_folder_is_needed_is_refused(bare: Sandbox) -> None:
    (bare.workspace / "root/proc").write_text("")
    with pytest.raises(SandboxError) as caught:
        bare.act("match", system=True, patterns=[])
    assert caught.value.code == "SANDBOX_REFUSED"


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        pytest.param(
            IdMap(4294967290, 4294967290, direct=True), "Invalid argument",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root writes maps"),
        ),
        (IdMap(1, 1, direct=False, caller_uid=os.geteuid(), caller_gid=os.getegid()), "newuidmap"),
    ],
)  # fmt: skip
def test_a_sandbox_that_can_not_be_set_up_is_explained(bare: Sandbox, ids: IdMap, reason: str) -> None:
    with pytest.raises(SandboxError, match=reason) as caught:
        Sandbox(bare.workspace, Runner(), ids).act("match", patterns=[])
    assert caught.value.code == "SANDBOX_REFUSED"
    assert "user namespaces must be allowed" in (caught.value.hint or "")


def test_a_workspace_closed_to_others_is_opened_for_the_sandbox(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    made = sandbox(tmp_path)
    assert made.act("match", patterns=["/*"])["paths"] == {"/*": []}
    assert tmp_path.stat().st_mode & 0o777 == 0o711


def test_what_a_program_writes_that_looks_like_a_refusal_is_not_one(box: Sandbox) -> None:
    line = '{"sandbox-refused": "the moon is full"}'
    assert box.run(["sh", "-c", f"echo '{line}' >&2"]).stderr == f"{line}\n".encode()


def test_the_kernel_s_dump_of_a_crash_is_never_written(box: Sandbox) -> None:
    assert said(box, "ulimit -c") == "0\n"
