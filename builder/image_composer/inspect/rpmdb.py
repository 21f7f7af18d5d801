"""Reads what rpm's database says is installed, in the format that most distributions have by now: SQLite.

The database holds each package's header as it is in the package file, without its magic (rpm's lib/backend/sqlite.c).
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from image_composer.errors import RepositoryError
from image_composer.inspect.model import PackageFound
from image_composer.package.rpm_header import read_stored_header, read_stored_paths

Read = TypeVar("Read")

DATABASES = ("/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite")
"""Where distributions keep it."""


def rpm_packages(database: bytes, what: str) -> list[PackageFound]:
    """Give the installed packages by name.

    Args:
        database: the file's content.
        what: for messages.

    Raises:
        ValueError: it is damaged, with the reason.
    """
    headers = _read(database, lambda blob: read_stored_header(blob, what))
    found = [
        PackageFound(name=header.name, version=header.evr, architecture=header.architecture)
        for header in headers
        if header.name != "gpg-pubkey"  # a key that rpm trusts, kept as if it were a package
    ]
    return sorted(found, key=lambda package: (package.name, package.architecture))


def rpm_files(database: bytes, what: str) -> frozenset[str]:
    """Give the paths of everything that the installed packages brought.

    Args:
        database: the file's content.
        what: for messages.

    Raises:
        ValueError: it is damaged, with the reason.
    """
    return frozenset(path for paths in _read(database, lambda blob: read_stored_paths(blob, what)) for path in paths)


def _read(database: bytes, read: Callable[[bytes], Read]) -> list[Read]:
    """Read every package's header."""
    with tempfile.NamedTemporaryFile(prefix="inspect-") as file:
        Path(file.name).write_bytes(database)
        try:
            # immutable: nothing else writes to it, so that neither lock nor shared memory is needed.
            connection = sqlite3.connect(f"file:{file.name}?mode=ro&immutable=1", uri=True)
            with closing(connection):
                return [read(blob) for (blob,) in connection.execute("SELECT blob FROM Packages")]
        except (sqlite3.Error, RepositoryError) as error:
            raise ValueError(str(error)) from error
