"""Which ids of the host stand behind the ids inside the sandbox."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_composer.errors import SandboxError

COUNT = 65536
"""Ids inside: what distributions and systemd expect to exist."""

PREFERRED_BASE = 0x77000000
"""First id used when we are root: outside of every range that systemd's UIDS-GIDS page gives to anyone."""


@dataclass(frozen=True, slots=True)
class IdMap:
    """A mapping of inside ids 0-65535 to ids of the host that are nobody's (or, for 0 without root, the caller's)."""

    uid_base: int
    gid_base: int
    direct: bool
    """Whether we may write the map ourselves, being root; else newuidmap does and 0 stands for the caller."""

    caller_uid: int = 0
    caller_gid: int = 0

    def plan(self) -> dict[str, Any]:
        """Give the map as launcher.py takes it: lists of inside, outside and count."""
        return {
            "direct": self.direct,
            "uid": self._lines(self.uid_base, self.caller_uid),
            "gid": self._lines(self.gid_base, self.caller_gid),
        }

    def _lines(self, base: int, caller: int) -> list[list[int]]:
        if self.direct:
            return [[0, base, COUNT]]
        return [[0, caller, 1], [1, base, COUNT - 1]]


def read_id_files() -> dict[str, str]:
    """Read the files of this machine that `choose_ids` decides by; absent ones are empty."""
    paths = ("/etc/passwd", "/etc/subuid", "/etc/subgid", "/proc/self/uid_map", "/proc/self/gid_map")
    return {path: Path(path).read_text() if Path(path).exists() else "" for path in paths}


def choose_ids(uid: int, gid: int, files: Mapping[str, str], user: str | None = None) -> IdMap:
    """Choose the map for this process.

    Args:
        uid: our effective user id.
        gid: our effective group id.
        files: as `read_id_files` gives them.
        user: our login name; looked up when needed and absent.

    Raises:
        SandboxError: SANDBOX_NO_IDS, there is no range to be had.
    """
    if uid == 0:
        return IdMap(
            _free_base(files["/proc/self/uid_map"], files), _free_base(files["/proc/self/gid_map"], files), direct=True
        )
    name = user or pwd.getpwuid(uid).pw_name
    uid_base = _subordinate(files["/etc/subuid"], name, uid)
    gid_base = _subordinate(files["/etc/subgid"], name, uid)
    return IdMap(uid_base, gid_base, direct=False, caller_uid=uid, caller_gid=gid)


def _free_base(id_map: str, files: Mapping[str, str]) -> int:
    """Give the first id of a range that our own user namespace has and no account or delegation uses."""
    accounts = [line.split(":") for line in files["/etc/passwd"].splitlines()]
    taken = [(int(fields[2]), 1) for fields in accounts if len(fields) == 7 and fields[2].isdigit()]
    for path in ("/etc/subuid", "/etc/subgid"):
        taken += [(int(parts[1]), int(parts[2])) for parts in _entries(files[path])]
    ranges = [(int(words[0]), int(words[2])) for words in map(str.split, id_map.splitlines()) if len(words) == 3]
    for first, count in ranges:
        candidates: list[int] = [PREFERRED_BASE, *range(first + count - COUNT, first + COUNT - 1, -COUNT)][:4096]
        for base in candidates:
            inside = first <= base and base + COUNT <= first + count
            if inside and not any(start < base + COUNT and base < start + length for start, length in taken):
                return base
    raise SandboxError(
        "SANDBOX_NO_IDS",
        "this user namespace has no 65536 ids to spare for the sandbox",
        hint="run the builder with more ids mapped (a pod without hostUsers: false), or as root of the host",
    )


def _subordinate(text: str, name: str, uid: int) -> int:
    for owner, first, count in _entries(text):
        if owner in (name, str(uid)) and int(count) >= COUNT - 1:
            return int(first)
    raise SandboxError(
        "SANDBOX_NO_IDS",
        f"the user {name} has no range of subordinate ids in /etc/subuid and /etc/subgid",
        hint=f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}",
    )


def _entries(text: str) -> list[list[str]]:
    entries = (line.split(":") for line in text.splitlines())
    return [parts for parts in entries if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit()]
