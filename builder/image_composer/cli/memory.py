"""Puts the tree that is assembled into memory, where there is plenty.

A root is tens of thousands of small files, which disks are slow to make and slower to delete. The memory is a tmpfs
in a mount namespace of this process alone, so it is gone with the process, however that ends.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.settings import GIB, MIB
from image_composer.spec.base import format_size
from image_composer.workspace import Workspace

CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2

COVERED = ("root", "boot", "parts", "exchange")
"""Folders of the workspace that are put into memory."""

FACTOR = 3
"""Memory for the root, the images of its partitions and the initramfs, as a multiple of what packages say they need."""

SPARE = 1 * GIB
"""Bytes of memory that are left to the programs that run."""

MEMORY_FILES = ("/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def use_memory(workspace: Workspace, lock: Lock, reporter: Reporter) -> bool:
    """Cover the workspace's largest folders by memory, if there is enough and we may.

    Must be called while the process has one thread that does the building: only it sees the memory.
    """
    installed = sum(package.installed_size for package in lock.packages)
    needed = installed * FACTOR + 512 * MIB
    if os.geteuid() != 0 or available_memory(read_memory_files()) < needed + SPARE:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    covered = workspace.folder / "memory"
    covered.mkdir(exist_ok=True)
    options = f"mode=0755,size={needed}".encode()
    if libc.unshare(CLONE_NEWNS) != 0:
        return False
    if libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0:
        return False
    if libc.mount(b"tmpfs", bytes(covered), b"tmpfs", ctypes.c_ulong(MS_NOSUID | MS_NODEV), options) != 0:
        return False
    for name in COVERED:
        folder, inside = workspace.folder / name, covered / name
        folder.mkdir(exist_ok=True)
        inside.mkdir()
        if libc.mount(bytes(inside), bytes(folder), None, ctypes.c_ulong(MS_BIND), None) != 0:
            return False
    reporter.info(f"assembling in memory, of which up to {format_size(needed)} are used")
    return True


def give_memory_back(workspace: Workspace) -> None:
    """Uncover the folders again, or the workspace could not be removed; nothing happens to those that are not."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in (*COVERED, "memory"):
        libc.umount2(bytes(workspace.folder / name), MNT_DETACH)


def available_memory(files: Mapping[str, str]) -> int:
    """Give the bytes of memory that may still be used: the system's and the control group's limit, the smaller.

    Args:
        files: text of `MEMORY_FILES` by path, as far as they are there.
    """
    known = {
        words[0]: int(words[1]) * 1024
        for words in map(str.split, files.get(MEMORY_FILES[0], "").splitlines())
        if len(words) == 3
    }
    limits = [known.get("MemAvailable:", 0)]
    limits += [int(text) for path in MEMORY_FILES[1:] if (text := files.get(path, "").strip()).isdigit()]
    return min(limits)


def read_memory_files() -> dict[str, str]:
    """Read what `available_memory` decides by."""
    return {path: Path(path).read_text() for path in MEMORY_FILES if os.access(path, os.R_OK)}
