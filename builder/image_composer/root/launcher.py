"""Starts one program, or one action of ours, in namespaces of its own; a separate, small process.

It runs as `python -I -S launcher.py FD` with a JSON plan (see sandbox.py, `plan`) on descriptor FD and imports the
standard library only, because the root it pivots into has none of our files. Four processes, each ended by the kernel
when the one before it dies, so that nothing outlives the composer, whatever kills it:

    outer    waits; writes the id maps, as only a process outside the new user namespace can
    holder   owner of the new namespaces
    init     process 1 of the new pid namespace: mounts, pivots, gives up rights, reaps
    program  what was asked for

The order of things matters: all mounts are made while the host's /proc is still visible, every mount point is opened
without following links (the root may hold hostile ones), and rights are given up before anything of the root runs.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

EXIT_REFUSED = 125
"""Exit status when the sandbox itself could not be set up; the reason is on standard error as one line of JSON."""

STAGING = "/tmp"  # noqa: S108 - only a mount point, covered by a tmpfs in a mount namespace of our own
"""Folder of every Linux system that the new root is put together over."""

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY = 1
AT_RECURSIVE = 0x8000
AT_FDCWD = -100
SYS_MOUNT_SETATTR = 442  # the same on x86_64 and aarch64
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
SECCOMP_MODE_FILTER = 2
LAST_CAPABILITY_TRIED = 63

libc = ctypes.CDLL(None, use_errno=True)


class RefusedError(Exception):
    """The kernel did not allow a step of setting up."""


class RootError(RefusedError):
    """A package has put something into the root that the sandbox can't be set up over."""


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
    call("unshare", libc.unshare(NAMESPACES))
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
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
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


def enter_root(plan: dict[str, Any]) -> None:
    """Make all mounts and change to the new root."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
    new = f"{STAGING}/new"
    Path(new).mkdir()
    if plan["root"] is None:
        mount("tmpfs", new, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m")
    else:
        mount(plan["root"], new, None, MS_BIND)
    for entry in plan["mounts"]:
        make_mount(new, entry)
    os.chdir(new)
    call("pivot_root", libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"."))
    call("umount2", libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def make_mount(new: str, entry: dict[str, Any]) -> None:
    """Make one mount of the plan at its place below the new root."""
    kind, target = entry["type"], entry["target"]
    if kind == "symlink":
        directory = open_inside(new, os.path.dirname(target))
        os.symlink(entry["source"], os.path.basename(target), dir_fd=directory)
        os.close(directory)
        return
    is_file = kind == "bind" and not os.path.isdir(entry["source"])
    if entry.get("optional") and kind == "bind" and not os.path.lexists(entry["source"]):
        return
    if entry.get("existing") and not os.path.lexists(new + target):
        return
    place = open_inside(new, target, is_file=is_file)
    path = f"/proc/self/fd/{place}"
    if kind == "bind":
        mount(entry["source"], path, None, MS_BIND | (0 if is_file else MS_REC))
        os.close(place)
        if entry.get("readonly"):
            place = open_inside(new, target, is_file=is_file)
            read_only(f"/proc/self/fd/{place}")
            os.close(place)
        return
    flags = MS_NOSUID | MS_NODEV | (MS_NOEXEC if kind == "proc" else 0)
    mount(kind, path, kind, flags, entry.get("options"))
    os.close(place)


def open_inside(new: str, target: str, *, is_file: bool = False) -> int:
    """Open a mount point below the new root, made when missing, without ever following a link in it."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    place = os.open(new, flags | os.O_DIRECTORY)
    parts = [part for part in target.split("/") if part]
    for number, part in enumerate(parts):
        last_file = is_file and number == len(parts) - 1
        try:
            entry = os.open(part, flags, dir_fd=place)
        except FileNotFoundError:
            if last_file:
                os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644, dir_fd=place))
            else:
                os.mkdir(part, 0o755, dir_fd=place)
            entry = os.open(part, flags, dir_fd=place)
        os.close(place)
        place = entry
        if stat.S_ISLNK(os.fstat(place).st_mode):
            raise RootError(f"{target} is a symbolic link, where a folder or a file is needed")
    return place


def give_up_rights(plan: dict[str, Any]) -> None:
    """Drop capabilities, forbid gaining any, filter system calls; can't be undone."""
    keep = set(plan["capabilities"])
    for capability in range(LAST_CAPABILITY_TRIED + 1):
        if capability not in keep:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for numbers the kernel doesn't know: fine
    drop_capabilities(keep)
    call("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    code = base64.b64decode(plan["seccomp"])
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    call("seccomp", libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def drop_capabilities(keep: set[int]) -> None:
    """Reduce this process's own capability sets; the bounding set alone works only from the next exec."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    class Sets(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]

    header = Header(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    sets = (Sets * 2)()
    for capability in keep:
        bit = 1 << (capability % 32)
        sets[capability // 32].effective |= bit
        sets[capability // 32].permitted |= bit
    call("capset", libc.capset(ctypes.byref(header), ctypes.byref(sets)))


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


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, even if it has ended already."""
    call("prctl", libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(EXIT_REFUSED)


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Make a mount; names both ends when it is refused."""
    encoded = [None if text is None else text.encode() for text in (source, target, kind, options)]
    result = libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    call(f"mount {source} ({kind or 'bind'})", result)


def read_only(path: str) -> None:
    """Make a mount and all below it read-only, leaving its other flags as they are."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = libc.syscall(
        SYS_MOUNT_SETATTR,
        AT_FDCWD,
        path.encode(),
        AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    call("mount_setattr", result)


def call(name: str, result: int) -> None:
    """Turn a C function's failure into a `RefusedError` that names the function."""
    if result != 0:
        raise RefusedError(f"{name}: {os.strerror(ctypes.get_errno())}")


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
