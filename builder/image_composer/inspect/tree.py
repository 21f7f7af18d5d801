"""What lies in a file system: every path with its kind, rights and size."""

from __future__ import annotations

import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder or link."""

    inode: int
    mode: int
    """Kind and rights, as in stat(2)."""

    uid: int
    gid: int
    size: int
    """Bytes."""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)
