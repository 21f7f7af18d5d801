"""Commands to put before another one, that give it a machine with something missing; nothing of the real one changes.

Mounts in a namespace of the command's own do it, so root is needed.
"""

from __future__ import annotations

import shutil
from pathlib import Path


def small_disk(folder: Path, mebibytes: int) -> list[str]:
    """A folder has a disk of its own, of some size; at the end, what is in it is listed after a line `left:`."""
    script = f'mount -t tmpfs -o size={mebibytes}m none "$0"; s=0; "$@" || s=$?; echo left:; find "$0" -type f; exit $s'
    return _in_mount_namespace(script, folder)


def read_only(folder: Path) -> list[str]:
    """Nothing can be written in a folder."""
    return _in_mount_namespace('mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"', folder)


def without(program: str) -> list[str]:
    """A program is not to be had."""
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert path is not None, f"{program} is needed for the test"
    return _in_mount_namespace('mount --bind /dev/null "$0"; exec "$@"', Path(path))


def _in_mount_namespace(script: str, folder: Path) -> list[str]:
    return ["unshare", "--mount", "sh", "-ec", script, str(folder)]


def left(printed: str) -> list[Path]:
    """Give the files that a command behind `small_disk` left."""
    return [Path(line) for line in printed.partition("left:\n")[2].splitlines()]
