from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from image_composer.inspect.rpmdb import rpm_packages
from support.disks import say
from support.rpmbuild import Rpm, make_rpm


@pytest.fixture
def database(tmp_path: Path) -> bytes:
    """A database that the host's rpm wrote."""
    folder = tmp_path / "rpm"
    for rpm in (Rpm("tool", version="1.2", release="3.azl3"), Rpm("data", version="7", release="1.azl3")):
        words = ("--dbpath", folder, "--define", "_db_backend sqlite", "--install", "--justdb", "--nodeps")
        say("rpm", *words, make_rpm(rpm, tmp_path))
    return (folder / "rpmdb.sqlite").read_bytes()


def test_installed_packages_are_told_by_name(database: bytes) -> None:
    found = [(package.name, package.version) for package in rpm_packages(database, "db")]
    assert found == [("data", "7-1.azl3"), ("tool", "1.2-3.azl3")]


def test_a_damaged_database_is_told(database: bytes) -> None:
    with pytest.raises(ValueError, match=r"malformed|not a database"):
        rpm_packages(database[:4096] + b"\xff" * (len(database) - 4096), "db")
    with pytest.raises(ValueError, match="not a database"):
        rpm_packages(b"not one" * 1000, "db")


def test_a_row_that_is_no_header_is_told(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute("CREATE TABLE Packages (hnum INTEGER, blob BLOB)")
    connection.execute("INSERT INTO Packages VALUES (1, ?)", (b"nothing",))
    connection.commit()
    connection.close()
    with pytest.raises(ValueError, match="db"):
        rpm_packages((tmp_path / "db").read_bytes(), "db")
