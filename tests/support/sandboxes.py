"""Sandboxes for tests: a workspace with a root just large enough to run a few of this machine's programs in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from image_composer.errors import ComposerError
from image_composer.root.idmap import choose_ids, read_id_files
from image_composer.root.sandbox import Sandbox
from image_composer.run import BASE_ENVIRONMENT, Runner

PROGRAMS = ("sh", "cat", "cp", "env", "ls", "mknod", "perl", "sleep", "touch")


def sandbox(workspace: Path, **environment: str) -> Sandbox:
    """Give a sandbox over a folder, with an empty root; skips the test where this machine allows none."""
    try:
        ids = choose_ids(os.geteuid(), os.getegid(), read_id_files())
        made = Sandbox(workspace, Runner(), ids, environment)
        made.prepare("root", "exchange")
        (workspace / "packages").mkdir(exist_ok=True)
        made.act("match", patterns=[])
    except ComposerError as error:
        if os.geteuid() == 0:
            raise  # root always may: a sandbox that can't be set up is what the tests are to find
        pytest.skip(f"no sandbox here: {error}; run the tests as root, or allow user namespaces")
    return made


def install_programs(made: Sandbox) -> None:
    """Copy programs and their libraries into the root, as on a system with a merged /usr."""
    root = made.workspace / "root"
    (root / "usr").mkdir()
    for name in ("bin", "lib", "lib64"):
        (root / "usr" / name).mkdir()
        (root / name).symlink_to(f"usr/{name}")
    for name in PROGRAMS:
        found = shutil.which(name, path=BASE_ENVIRONMENT["PATH"])
        if found is None:
            pytest.skip(f"{name} is not on this machine")
        shutil.copy(found, root / "usr/bin" / name)
        listed = subprocess.run(["ldd", found], capture_output=True, check=True, text=True, timeout=30).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            place = root / library.removeprefix("/usr").lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
    if made.ids.direct:
        for path in (root, *root.rglob("*")):
            os.chown(path, made.ids.uid_base, made.ids.gid_base, follow_symlinks=False)


def processes_with(marker: str) -> list[int]:
    """Give the processes of this machine whose command line holds a marker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in line:
                found.append(int(entry.name))
    return found
