"""The control group that a node's pods are in, in either version of the kernel's interface."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from .processes import ClusterError

ROOT = Path("/sys/fs/cgroup")

CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")
"""What the kubelet limits pods by, version 2."""


def make(name: str) -> None:
    """Make the group that the kubelet puts pods below; it does not make that one itself."""
    if (ROOT / "cgroup.controllers").exists():
        for controller in CONTROLLERS:
            with contextlib.suppress(OSError):  # this kernel may not have it; the kubelet says what it can't do without
                (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / "tasks").exists() and (hierarchy / file).exists():
                # Version 1: a new group has no processors, and takes no process before it has.
                (hierarchy / name / file).write_text((hierarchy / file).read_text())


def remove(name: str, *, seconds: float = 10) -> None:
    """Remove a group and those below it. Killed processes stay in theirs for a moment."""
    deadline = time.monotonic() + seconds
    while left := groups(name):
        for group in left:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        if time.monotonic() > deadline:
            raise ClusterError(f"there are processes left in {', '.join(map(str, left))}")
        time.sleep(0.02)


def groups(name: str) -> list[Path]:
    """Give the folders that a group has."""
    return [hierarchy / name for hierarchy in _all_hierarchies() if (hierarchy / name).exists()]


def _hierarchies() -> list[Path]:
    """Give where groups have controllers."""
    return [hierarchy for hierarchy in _all_hierarchies() if hierarchy.name != "unified"]


def _all_hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.is_symlink()]
