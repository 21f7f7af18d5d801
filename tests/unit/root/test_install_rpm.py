from __future__ import annotations

import pytest

from image_composer.manifest import RpmFacts
from image_composer.root.install_rpm import package_failure, script_warnings, transaction
from image_composer.run import Completed

DEBIAN = (
    "rpm: RPM should not be used directly install RPM packages, use Alien instead!\n"
    "rpm: However assuming you know what you are doing...\n"
)


def failure(said: str) -> tuple[str, str]:
    error = package_failure(said, Completed(1, b"", said.encode()))
    return error.code, error.message


def test_the_database_is_where_and_what_the_distribution_s_own_rpm_reads() -> None:
    words = transaction(["/packages/a.rpm"], RpmFacts(database="/usr/lib/sysimage/rpm", backend="ndb"))
    assert {"_dbpath /usr/lib/sysimage/rpm", "_db_backend ndb"} <= set(words)
    assert words[-1] == "/packages/a.rpm"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            f"{DEBIAN}error: %prein(sudo-1.9-2.azl3.x86_64) scriptlet failed, exit status 3\n"
            "error: sudo-1.9-2.azl3.x86_64: install failed",
            (
                "ASSEMBLE_PACKAGE_FAILED",
                "installing sudo failed\n"
                "error: %prein(sudo-1.9-2.azl3.x86_64) scriptlet failed, exit status 3\n"
                "error: sudo-1.9-2.azl3.x86_64: install failed",
            ),
        ),
        (
            "\tfile /usr/bin/x from install of a-1-1.noarch conflicts with file from package b-2-1.noarch",
            (
                "ASSEMBLE_PACKAGE_FAILED",
                "installing a and b together failed\n"
                "file /usr/bin/x from install of a-1-1.noarch conflicts with file from package b-2-1.noarch",
            ),
        ),
        (
            "error: unpacking of archive failed on file /usr/bin/x;1: cpio: write failed - No space left on device",
            (
                "TOOL_DISK_FULL",
                "the disk is full while installing packages\n"
                "error: unpacking of archive failed on file /usr/bin/x;1: cpio: write failed - No space left on device",
            ),
        ),
        (
            "error: cannot open Packages",
            ("ASSEMBLE_PACKAGE_FAILED", "rpm failed with status 1\nerror: cannot open Packages"),
        ),
    ],
)
def test_a_failure_names_the_packages_and_shows_what_rpm_said(said: str, expected: tuple[str, str]) -> None:
    assert failure(said) == expected


def test_scripts_that_failed_without_stopping_rpm_are_told() -> None:
    said = "warning: %post(dbus-1.15-1.azl3.x86_64) scriptlet failed, exit status 1\nwarning: something else\n"
    assert [*script_warnings(said)] == ["the script %post of dbus-1.15-1.azl3.x86_64 failed: exit status 1"]
