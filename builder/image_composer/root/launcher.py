"""Starts one program, or one action of ours, in namespaces of its own; a separate, small process.

It runs as `python -I -S launcher.py FD` with a JSON plan (see sandbox.py, `plan`) on descriptor FD and imports the
standard library only, because the root it pivots into has none of our files. Four processes, each ended by the kernel
when the one before it dies, so that nothing outlives the composer, whatever kills it:

    outer    waits; writes the id maps, as only a process outside the new user namespace can
    holder   owner of the new namespaces
    init     process 1 of the new pid namespace: mounts, pivots, gives up rights, reaps
    program  what was asked for

The order of things matters: all mounts are made while the host's /proc is still visible, and rights are given up before
anything of the root runs.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # -I leaves it out; nothing installed is needed

from image_composer.root.launcher_kernel import (
    EXIT_REFUSED,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    RefusedError,
    RootError,
    call,
    die_with_parent,
    libc,
)
from image_composer.root.launcher_mounts import enter_root
from image_composer.root.launcher_rights import give_up_rights

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS


def main() -> NoReturn:
    """Read the plan, become the outer process and end with the program's status."""
    with os.fdopen(int(sys.argv[1]), "rb") as stream:
        plan = json.load(stream)
    parent = os.getppid()
    die_with_parent(parent)
    try:
        status = outer(plan, load_action(plan))
    except (RefusedError, OSError) as error:
        refuse(error)
    os._exit(status)


def outer(plan: dict[str, Any], program: Callable[[], int]) -> int:
    """Start the holder, map ids for it and wait for its end."""
    os.chdir(plan["workspace"])  # the only way to name folders below parents that the mapped ids may not search
    unshared_read, unshared_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    me = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(unshared_read)
        os.close(mapped_write)
        guard(lambda: holder(plan, program, me, unshared_write, mapped_read))
    os.close(unshared_write)
    os.close(mapped_read)
    close_all(plan)
    if os.read(unshared_read, 1):
        map_ids(plan["ids"], child)
        os.write(mapped_write, b"1")
    os.close(mapped_write)
    return wait_for(child)


def holder(plan: dict[str, Any], program: Callable[[], int], parent: int, unshared: int, mapped: int) -> int:
    """Enter the new namespaces and start their init."""
    die_with_parent(parent)
    kept = CLONE_NEWNET if plan.get("network") else 0
    call("unshare", libc.unshare(NAMESPACES & ~kept))
    os.write(unshared, b"1")
    os.close(unshared)
    if not os.read(mapped, 1):
        os._exit(EXIT_REFUSED)  # the outer process has said why
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    die_with_parent(parent)  # a change of ids has cleared it
    alive_read, alive_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive_write)
        guard(lambda: init(plan, program, alive_read))
    os.close(alive_read)
    close_all(plan)
    return wait_for(child)


def init(plan: dict[str, Any], program: Callable[[], int], alive: int) -> int:
    """Put the root together, give up rights, run what was asked and reap everything else.

    Args:
        plan: of the sandbox.
        program: what was asked for.
        alive: the end of a pipe whose other end the parent holds; its number tells nothing across pid namespaces.
    """
    call("prctl", libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if select.select([alive], [], [], 0)[0]:
        os._exit(EXIT_REFUSED)  # the parent had ended before it could take us with it
    os.close(alive)
    os.umask(0o022)
    enter_root(plan)
    call("prctl", libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))  # nothing of the root may look into this process
    call("sethostname", libc.sethostname(b"localhost", 9))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    give_up_rights(plan)
    os.chdir(plan.get("cwd", "/"))
    child = os.fork()
    if child == 0:
        guard(program)
    close_all(plan)
    while True:
        pid, status = os.wait()
        if pid == child:
            return shell_status(status)


def close_all(plan: dict[str, Any]) -> None:
    """Close the descriptors that are for the last process, so that a pipe's end is seen when it closes them."""
    for descriptor in plan.get("descriptors", ()):
        os.close(descriptor)


def load_action(plan: dict[str, Any]) -> Callable[[], int]:
    """Give what the last process does.

    Our own code is loaded at the very start: later on, neither its files nor those of the standard library need be
    within reach of the mapped ids.
    """
    if "argv" in plan:
        return lambda: execute(plan["argv"], plan["env"])
    from image_composer.root import inside  # noqa: PLC0415 - not every plan needs it, and it takes time to load

    return lambda: int(inside.perform(plan["action"]))


def execute(argv: list[str], environment: dict[str, str]) -> int:
    """Become a program found in the root; give the status a shell gives when there is none."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and what is ignored stays so in a new program
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return 127 if isinstance(error, FileNotFoundError) else 126


def map_ids(ids: dict[str, Any], child: int) -> None:
    """Write the id maps of the child's user namespace."""
    for kind in ("uid", "gid"):
        lines = ids[kind]
        if ids["direct"]:
            text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in lines)
            Path(f"/proc/{child}/{kind}_map").write_text(text)
        else:
            words = [str(number) for line in lines for number in line]
            done = subprocess.run([f"new{kind}map", str(child), *words], capture_output=True, check=False)
            if done.returncode != 0:
                raise RefusedError(f"new{kind}map: {done.stderr.decode(errors='replace').strip()}")


def wait_for(child: int) -> int:
    """Wait for a child and give the exit status a shell would give; signals that should end us end it too."""

    def end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's signature
        os._exit(128 + number)  # the kernel ends everything below

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    return shell_status(os.waitpid(child, 0)[1])


def shell_status(status: int) -> int:
    """Give the exit status that a shell would report for a wait status."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def guard(body: Any) -> NoReturn:
    """Run a forked process's body; it never returns into its parent's code."""
    try:
        os._exit(body() or 0)
    except (RefusedError, OSError) as error:
        refuse(error)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's code must not run a second time
        traceback.print_exc()
        os._exit(1)


def refuse(error: Exception) -> NoReturn:
    """Say why, in the form that sandbox.py reads, and end."""
    kind = "root-refused" if isinstance(error, RootError) else "sandbox-refused"
    os.write(2, json.dumps({kind: str(error)}).encode() + b"\n")
    os._exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
