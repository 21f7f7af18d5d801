"""Reads what rpm's database says is installed, in the format that most distributions have by now: SQLite.

The database holds each package's header as it is in the package file, without its magic (rpm's lib/backend/sqlite.c).
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from image_composer.errors import RepositoryError
from image_composer.inspect.model import PackageFound
from image_composer.package.rpm_header import read_stored_header

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
    with tempfile.NamedTemporaryFile(prefix="inspect-") as file:
        Path(file.name).write_bytes(database)
        try:
            found = list(_packages(file.name, what))
        except (sqlite3.Error, RepositoryError) as error:
            raise ValueError(str(error)) from error
    return sorted(found, key=lambda package: (package.name, package.architecture))


def _packages(path: str, what: str) -> Iterator[PackageFound]:
    # immutable: nothing else writes to it, so that neither lock nor shared memory is needed.
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            header = read_stored_header(blob, what)
            if header.name != "gpg-pubkey":  # a key that rpm trusts, kept as if it were a package
                yield PackageFound(name=header.name, version=header.evr, architecture=header.architecture)
    finally:
        connection.close()
