"""The command line as users run it, and what it leaves on the machine."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("image-composer")

PASSED = ("IMAGE_COMPOSER_MIRROR_", "PYTHONPATH")
"""Beginnings of the variables that the composer gets from the tests: where packages are, and where its own code is."""
SCREEN = 40
"""Lines that an error may have: what people see of it without scrolling."""

PATIENCE = 600
"""Seconds that a build may take before the test gives up."""

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Outcome:
    """How a run of the composer ended."""

    status: int
    printed: str
    said: str
    """What it wrote to standard error."""

    @property
    def error(self) -> str:
        """What it said about its failure, from `error:` to the code."""
        found = re.search(r"^error: .*", self.said, re.MULTILINE | re.DOTALL)
        return found[0].strip() if found else ""

    @property
    def code(self) -> str:
        found = re.search(r"^\[([A-Z_]+)\]$", self.said, re.MULTILINE)
        return found[1] if found else ""

    @property
    def hint(self) -> str:
        found = re.search(r"^hint: (.*)$", self.said, re.MULTILINE)
        return found[1] if found else ""


@dataclass(frozen=True)
class Composer:
    """The composer with a cache of its own."""

    cache: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    """A command that runs it in a world of its own."""

    def run(self, *words: str | Path, options: Sequence[str] = (), stdin: str = "") -> Outcome:
        """Run a command of it to its end."""
        done = subprocess.run(
            self.argv(*words, options=options),
            env=self._environment(),
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            input=stdin.encode(),
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a command of it whose events can be read, one line of JSON each, from its standard error."""
        return subprocess.Popen(
            self.argv(*words, options=["--log-format", "json"]),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def argv(self, *words: str | Path, options: Sequence[str] = ()) -> list[str]:
        return [*self.prefix, str(PROGRAM), *options, *map(str, words)]

    def _environment(self) -> dict[str, str]:
        # The test's own packages first; the rest is where the code that is tested lies.
        packages = [self.environment.get("PYTHONPATH"), os.environ.get("PYTHONPATH")]
        return {
            "PATH": os.environ["PATH"],
            "HOME": "/dev/null",
            "IMAGE_COMPOSER_CACHE_DIR": str(self.cache),
            "IMAGE_COMPOSER_RETRIES": "1",
            **{name: value for name, value in os.environ.items() if name.startswith(PASSED)},
            **self.environment,
            "PYTHONPATH": ":".join(filter(None, packages)),
        }

    def workspaces(self) -> list[Path]:
        """Give the workspaces that are there, of running builds and of killed ones."""
        return list((self.cache / "workspaces").glob("*"))


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Give what a started composer reports, as it does so."""
    assert process.stderr is not None
    for line in process.stderr:
        yield json.loads(line)


def write_document(folder: Path, document: object, name: str = "edge.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@contextmanager
def nothing_left(composer: Composer, *folders: Path) -> Iterator[None]:
    """Hold that what happens meanwhile leaves no workspace, no process and no mount, and folders as they were."""
    before = {folder: snapshot(folder) for folder in folders}
    with orphans_are_ours() as descendants:
        known = descendants()
        yield
        until(lambda: not descendants() - known, lambda: f"still running: {descendants() - known}")
    assert composer.workspaces() == []
    assert mounts_of(composer.cache, *folders) == []
    assert {folder: snapshot(folder) for folder in folders} == before


def snapshot(folder: Path) -> dict[str, tuple[int, int]] | None:
    """Give mode and size or time of everything below a folder; None when there is none."""
    if not folder.exists():
        return None
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
    }


@contextmanager
def orphans_are_ours() -> Iterator[Callable[[], set[str]]]:
    """Make orphans of what we start our own children, so that none can hide; gives what lists our descendants."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield lambda: {f"{pid} {command}" for pid, command in _descendants(os.getpid())}
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def until(condition: Callable[[], bool], complaint: Callable[[], str], seconds: float = 20) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.01)


def _descendants(ancestor: int) -> Iterator[tuple[int, str]]:
    """Give number and command line of all that descend from a process and have not ended."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents[int(entry.name)] = int(fields[1])
    for pid in parents:
        above = pid
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor and pid != ancestor:
            yield pid, command_line(pid)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def mounts_of(*folders: Path) -> list[str]:
    """Give the mounts of this machine in or below some folders."""
    lines = Path("/proc/mounts").read_text().splitlines()
    return [line for line in lines if any(line.split()[1].startswith(str(folder)) for folder in folders)]
