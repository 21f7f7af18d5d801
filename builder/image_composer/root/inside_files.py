"""File operations inside the root (root/operations.py), carried out by inside.py; the standard library only."""

from __future__ import annotations

import base64
import fnmatch
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHUNK = 1 << 20
MERGED = (Path("/bin"), Path("/lib"), Path("/lib64"), Path("/sbin"))
"""Links to folders of /usr, in today's distributions."""

WILDCARD = re.compile(r"[*?\[]")


def apply(request: dict[str, Any]) -> dict[str, Any]:
    """Carry out file operations (root/operations.py) in order."""
    for operation in request["operations"]:
        OPERATIONS[operation["kind"]](operation)
    return {}


def write_file(operation: dict[str, Any]) -> None:
    """Write a file anew, never through a link; missing parent folders are made.

    Raises:
        ValueError: there is a folder at its place, or a link leads elsewhere.
    """
    with anew(operation) as stream:
        stream.write(base64.b64decode(operation["content"]))


@contextmanager
def anew(operation: dict[str, Any]) -> Iterator[BinaryIO]:
    """Give the new file of an operation to be filled; it gets its owner and mode then.

    Raises:
        ValueError: there is a folder at its place, or a link leads elsewhere.
    """
    path = Path(operation["path"])
    make_way(path)
    clear_place(path)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        yield stream
        stream.flush()  # a later write would clear setuid and setgid
        os.fchown(descriptor, operation["uid"], operation["gid"])
        os.fchmod(descriptor, operation["mode"])


def make_way(path: Path) -> None:
    """Make the missing parents of a file, or of what takes its place, unless a link among them leads elsewhere.

    The file would come to where nobody looks for it. The links of a merged /usr are what they seem.

    Raises:
        ValueError: one does.
    """
    parent, top = path.parent, Path(*path.parts[:2])
    is_merged = path != top and top in MERGED and os.path.realpath(top) == f"/usr{top}"
    found = Path(os.path.realpath(parent))
    if found != (Path(f"/usr{parent}") if is_merged else parent):
        raise ValueError(f"{path} would come to lie in {found}, since a link leads there; name that folder instead")
    found.mkdir(parents=True, exist_ok=True)


def clear_place(path: Path) -> None:
    """Remove the file or link that something is to replace.

    Raises:
        ValueError: it is a folder.
    """
    if path.is_dir() and not path.is_symlink():
        raise ValueError(f"{path} is a folder, and not replaced by anything else")
    path.unlink(missing_ok=True)


def make_folder(operation: dict[str, Any]) -> None:
    """Make a folder and its missing parents; owner and mode are set on the last, even if it was there unless `keep`.

    Raises:
        ValueError: there is something else at its place, or a link leads elsewhere.
    """
    path, keep = Path(operation["path"]), operation.get("keep", False)
    make_way(path)
    if keep and path in MERGED and os.path.realpath(path) == f"/usr{path}":
        return
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ValueError(f"{path} is to be a folder, but is something else")
    if keep and path.is_dir():
        return
    path.mkdir(exist_ok=True)
    os.chown(path, operation["uid"], operation["gid"], follow_symlinks=False)
    path.chmod(operation["mode"])


def make_mount_point(operation: dict[str, Any]) -> None:
    """Make a folder and its missing parents, unless it is there."""
    Path(operation["path"]).mkdir(parents=True, exist_ok=True)


def make_link(operation: dict[str, Any]) -> None:
    """Make a symbolic link, replacing a file or link of that name.

    Raises:
        ValueError: there is a folder at its place, or a link leads elsewhere.
    """
    path = Path(operation["path"])
    make_way(path)
    clear_place(path)
    path.symlink_to(operation["target"])


def remove(operation: dict[str, Any]) -> None:
    """Remove what a pattern of paths matches, folders with all they hold.

    A path without a wildcard is not looked for: glob would follow it, and not find a link that leads nowhere.
    """
    pattern = operation["path"].lstrip("/")
    found = list(Path("/").glob(pattern)) if WILDCARD.search(pattern) else [Path("/") / pattern]
    for path in filter(os.path.lexists, found):
        remove_entry(path)


def remove_entry(path: Path) -> None:
    """Remove whatever is at a path, a folder with all it holds, and never what a link leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_except(operation: dict[str, Any]) -> None:
    """Remove what a folder holds but for entries of it, or files anywhere below, whose names a pattern matches."""
    top = Path(operation["path"])
    if os.path.realpath(top) != str(top) or not top.is_dir():
        return
    patterns = operation["kept"]

    def is_kept(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    for folder, names, files in os.walk(top, topdown=False):
        first = Path(folder).relative_to(top).parts[:1]
        if first and is_kept(first[0]):
            continue
        for name in (*files, *names):
            path = Path(folder) / name
            if is_kept(name) or (path.is_dir() and not path.is_symlink() and any(path.iterdir())):
                continue
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def copy_file(operation: dict[str, Any]) -> None:
    """Copy a file that the composer put into the exchange folder, as `write_file` writes.

    Raises:
        ValueError: there is a folder at its place, or a link leads elsewhere.
    """
    with Path(operation["source"]).open("rb") as source, anew(operation) as stream:
        shutil.copyfileobj(source, stream, CHUNK)


def truncate(operation: dict[str, Any]) -> None:
    """Empty a regular file."""
    path = Path(operation["path"])
    if path.is_file() and not path.is_symlink():
        os.truncate(path, 0)


def make_home(operation: dict[str, Any]) -> None:
    """Make a home folder from /etc/skel that only its owner can enter; one that is there may be anything, even `/`."""
    home = Path(operation["path"])
    if os.path.lexists(home):
        return
    home.mkdir(parents=True)
    if Path("/etc/skel").is_dir():
        shutil.copytree("/etc/skel", home, symlinks=True, dirs_exist_ok=True)
    home.chmod(0o700)
    for path in (home, *home.rglob("*")):
        os.chown(path, operation["uid"], operation["gid"], follow_symlinks=False)


def move_content(operation: dict[str, Any]) -> None:
    """Move what a folder holds to another one, which gets its owner and mode.

    Raises:
        ValueError: one of them is not a folder.
    """
    source, target = Path(operation["path"]), Path(operation["target"])
    for path in (source, target):
        if os.path.realpath(path) != str(path) or (os.path.lexists(path) and not path.is_dir()):
            raise ValueError(f"{path} is no folder, or below a link")
        path.mkdir(parents=True, exist_ok=True)
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)
    for entry in source.iterdir():
        entry.rename(target / entry.name)


OPERATIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "write": write_file,
    "folder": make_folder,
    "mount-point": make_mount_point,
    "link": make_link,
    "remove": remove,
    "remove-except": remove_except,
    "copy": copy_file,
    "truncate": truncate,
    "home": make_home,
    "move-content": move_content,
}
