"""What is to be done to the root's files, as values: decided by pure functions, carried out inside by inside.py."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

Operation = Mapping[str, Any]
"""One file operation, in the form that inside.py takes."""


def write(path: str, content: str | bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Operation:
    """Write a file anew, never through a link; missing parents are made."""
    raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    encoded = base64.b64encode(raw).decode()
    return {"kind": "write", "path": path, "content": encoded, "mode": mode, "uid": uid, "gid": gid}


def folder(path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Operation:
    """Make a folder with its missing parents, or set owner and mode of one that is there."""
    return {"kind": "folder", "path": path, "mode": mode, "uid": uid, "gid": gid}


def folder_if_missing(path: str, *, mode: int, uid: int, gid: int) -> Operation:
    """Make a folder with its missing parents; one that is there, or a link of a merged /usr, is left as it is."""
    return {"kind": "folder", "path": path, "mode": mode, "uid": uid, "gid": gid, "keep": True}


def mount_point(path: str) -> Operation:
    """Make a folder to mount on, with its missing parents; one that is there keeps owner and mode."""
    return {"kind": "mount-point", "path": path}


def link(path: str, target: str) -> Operation:
    """Make a symbolic link, replacing a file of that name."""
    return {"kind": "link", "path": path, "target": target}


def remove(pattern: str) -> Operation:
    """Remove everything that a pattern of absolute paths matches."""
    return {"kind": "remove", "path": pattern}


def new_home(path: str, *, uid: int, gid: int) -> Operation:
    """Make a home folder for one owner with what /etc/skel holds; one that is there is left alone, as useradd does."""
    return {"kind": "home", "path": path, "uid": uid, "gid": gid}


def move_content(path: str, target: str) -> Operation:
    """Move what a folder holds to a new folder with the same owner and mode; both are made when missing."""
    return {"kind": "move-content", "path": path, "target": target}


def truncate(path: str) -> Operation:
    """Empty a file, if it is there, leaving owner and mode."""
    return {"kind": "truncate", "path": path}


def remove_except(path: str, kept: Sequence[str]) -> Operation:
    """Remove what a folder holds but for names that a pattern matches: entries of it, or files anywhere below."""
    return {"kind": "remove-except", "path": path, "kept": list(kept)}


def copy(path: str, source: str, *, mode: int, uid: int, gid: int) -> Operation:
    """Copy a file of the exchange folder, never through a link; missing parents are made."""
    return {"kind": "copy", "path": path, "source": source, "mode": mode, "uid": uid, "gid": gid}
