"""Our own actions inside the root: unpacking, writing settings, measuring.

Loaded by launcher.py with nothing installed in sight, so what it imports may use the standard library only.

They run after the pivot, as the mapped root user without rights outside, so that whatever a package put into the
root (links to elsewhere, odd names, devices) can only ever lead to the root itself. An action takes a JSON document
and prints one.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from image_composer.disk.cpio import write_cpio
from image_composer.disk.measure import measure_tree
from image_composer.root import inside_files, inside_record, inside_unpack
from image_composer.root.inside_files import CHUNK, remove_entry
from image_composer.root.inside_unpack import ADMIN


def perform(request: dict[str, Any]) -> int:
    """Do one action and print its result."""
    try:
        result = ACTIONS[request["name"]](request)
    except Exception as error:  # noqa: BLE001 - becomes the message of an error of the composer
        print(json.dumps({"failed": inside_unpack.told(error)}), flush=True)
        return 1
    print(json.dumps(result), flush=True)  # the process ends without flushing
    return 0


def run_scripts(request: dict[str, Any]) -> dict[str, Any]:
    """Run the scripts that come before unpacking, one after another; all output goes to standard error.

    They are run where dpkg runs them, among the other files of their control part: debconf tells by that whose
    question is asked.

    Raises:
        ValueError: one failed.
    """
    staged = Path(f"{ADMIN}/tmp.ci")  # noqa: S108 - not a folder for everybody
    for script in request["scripts"]:
        staged.mkdir()
        (staged / "control").write_text(script["control"])
        for file in Path(f"{ADMIN}/info").iterdir():
            if file.stem == script["record"] and file.suffix != ".list":
                shutil.copy(file, staged / file.suffix[1:])
        environment = {**os.environ, **script["env"]}
        command = [str(staged / "preinst"), "install"]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=2, check=False)
        shutil.rmtree(staged)
        if done.returncode != 0:
            raise ValueError(f"preinst of {script['record']} failed with status {done.returncode}")
    return {}


def read(request: dict[str, Any]) -> dict[str, Any]:
    """Give the content of files, base64, absent ones as null."""
    contents: dict[str, str | None] = {}
    for name in request["paths"]:
        path = Path(name)
        contents[name] = base64.b64encode(path.read_bytes()).decode() if path.is_file() else None
    return {"contents": contents}


def folders(request: dict[str, Any]) -> dict[str, Any]:
    """Give those of some paths that are folders, and neither links nor below one."""
    return {"paths": [path for path in request["paths"] if Path(path).is_dir() and os.path.realpath(path) == path]}


def paths(request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - an action
    """Give the path of every entry of the root, sorted."""
    return {"paths": ["/", *sorted(path for path, _ in walk("/") if path != "/")]}


def match(request: dict[str, Any]) -> dict[str, Any]:
    """Give the paths that patterns match, sorted."""
    found = {pattern: sorted(map(str, Path("/").glob(pattern.lstrip("/")))) for pattern in request["patterns"]}
    return {"paths": found}


def collect(request: dict[str, Any]) -> dict[str, Any]:
    """Copy files of the root to a folder that the composer reads, under names that it chose.

    Raises:
        ValueError: one is not a regular file; reading a named pipe, for one, would never end.
    """
    for source, destination in request["files"].items():
        if not Path(source).is_file():
            raise ValueError(f"{source} is {'not a regular file' if os.path.lexists(source) else 'missing'}")
        if os.path.lexists(destination):
            remove_entry(Path(destination))
        with Path(source).open("rb") as reader, Path(destination).open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK)
    return {}


def archive(request: dict[str, Any]) -> dict[str, Any]:
    """Write what is below a folder as an archive that the kernel unpacks."""
    with Path(request["file"]).open("wb") as stream:
        write_cpio(Path(request["tree"]), stream)
    return {}


def split(request: dict[str, Any]) -> dict[str, Any]:
    """Move what is below mount points to folders of their own, leaving the empty mount points behind.

    The folders are on another mount, so that all must be copied: by the root's cp, which knows owners, links, holes
    and extended attributes.

    Raises:
        ValueError: a mount point is a link.
    """
    for mount_point, folder in request["mounts"].items():
        if os.path.realpath(mount_point) != mount_point:
            raise ValueError(f"{mount_point} is a link or below one, so that nothing can be mounted there")
        Path(mount_point).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
        subprocess.run(["cp", "--archive", "--", f"{mount_point}/.", folder], stdout=2, check=True)
        for entry in Path(mount_point).iterdir():
            remove_entry(entry)
    return {}


def seal(request: dict[str, Any]) -> dict[str, Any]:
    """Set every time later than the given one to it; tell what each tree will take up, and who owns its top."""
    limit = request["epoch"] * 10**9
    found = {}
    for top in request["trees"]:
        seal_tree(top, limit)
        usage = measure_tree(Path(top))
        status = os.stat(top)
        owner = {"mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}
        found[top] = {"blocks": usage.blocks, "inodes": usage.inodes, **owner}
    return {"trees": found}


def seal_tree(top: str, limit: int) -> None:
    """Set times of a tree that are later than a limit in nanoseconds to it, and all access times to the others."""
    for path, status in walk(top):
        modified = min(status.st_mtime_ns, limit)
        if (status.st_mtime_ns, status.st_atime_ns) != (modified, modified):
            os.utime(path, ns=(modified, modified), follow_symlinks=False)


def walk(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Give every entry of a tree, folders after what they hold."""
    for entry in os.scandir(top):
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
        else:
            yield entry.path, entry.stat(follow_symlinks=False)
    yield top, os.lstat(top)


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "send": inside_unpack.send,
    "record": inside_record.record,
    "diverted": inside_record.diverted,
    "unpack": inside_unpack.unpack,
    "scripts": run_scripts,
    "apply": inside_files.apply,
    "read": read,
    "folders": folders,
    "paths": paths,
    "match": match,
    "collect": collect,
    "archive": archive,
    "split": split,
    "seal": seal,
}

if __name__ == "__main__":  # a hand-made test of an action: inside.py < request.json
    sys.exit(perform(json.load(sys.stdin)))
