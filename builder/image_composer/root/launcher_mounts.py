"""Puts the new root together and moves into it. Standard library only, see launcher.py.

Every mount point is opened without following links, since the root may hold hostile ones.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path
from typing import Any

from image_composer.root.launcher_kernel import RootError, call, libc

STAGING = "/tmp"  # noqa: S108 - only a mount point, covered by a tmpfs in a mount namespace of our own
"""Folder of every Linux system that the new root is put together over."""

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY = 1
AT_RECURSIVE = 0x8000
AT_FDCWD = -100
SYS_MOUNT_SETATTR = 442  # the same on x86_64 and aarch64
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def enter_root(plan: dict[str, Any]) -> None:
    """Make all mounts and change to the new root."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
    if "handler" in plan:
        add_handler(plan["handler"])
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


def add_handler(line: str) -> None:
    """Tell the kernel, for this user namespace alone, what runs programs of another architecture."""
    place = f"{STAGING}/handlers"
    Path(place).mkdir()
    mount("binfmt_misc", place, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    Path(place, "register").write_text(line)
    # Never closed: with its last user the kernel forgets all that it was told here.
    os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


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
