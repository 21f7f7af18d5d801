from __future__ import annotations

from typing import Any

import pytest

from image_composer.repository.lock import Lock, LockedPackage
from image_composer.repository.lock_diff import diff_locks, render_text
from image_composer.spec.image import Target

MIB = 1024 * 1024


def lock_of(**packages: dict[str, Any]) -> Lock:
    """Give a lock of packages by name, each with what is special about it."""
    return Lock(
        target=Target(distribution="debian", release="12"),
        request_digest="0" * 64,
        repositories=[],
        packages=[
            LockedPackage(
                **{
                    "name": name,
                    "version": "1",
                    "architecture": "amd64",
                    "url": "https://deb.example.org/x.deb",
                    "sha256": "a" * 64,
                    "size": MIB,
                    "installed_size": 3 * MIB,
                    "repository": "main",
                    "source": name,
                    "source_version": "1",
                    **fields,
                }
            )
            for name, fields in packages.items()
        ],
    )


def test_added_removed_and_changed_packages_are_told_apart() -> None:
    old = lock_of(same={}, gone={}, moved={"version": "1"})
    new = lock_of(same={}, come={}, moved={"version": "2"}, more={})
    found = diff_locks(old, new)
    assert [change.name for change in found.added] == ["come", "more"]
    assert [change.name for change in found.removed] == ["gone"]
    assert [change.name for change in found.changed] == ["moved"]
    assert (found.size_change, found.installed_size_change) == (MIB, 3 * MIB)


def test_a_difference_reads_as_one_line_a_package() -> None:
    found = diff_locks(lock_of(a={}, b={}, c={}), lock_of(b={"version": "2"}, d={}))
    assert render_text(found).splitlines() == [
        "+ d 1",
        "- a 1",
        "- c 1",
        "~ b 1 -> 2",
        "1 added, 2 removed, 1 changed; -3.0 MiB installed, -1.0 MiB to fetch",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"architecture": "all"}, "~ a amd64 -> all"),
        ({"repository": "own"}, "~ a 1 of main -> 1 of own"),
        ({"sha256": "b" * 64}, "~ a 1: other content (aaaaaaaaaaaa -> bbbbbbbbbbbb)"),
    ],
)
def test_a_change_is_told_by_what_matters_most(change: dict[str, Any], told: str) -> None:
    assert render_text(diff_locks(lock_of(a={}), lock_of(a=change))).splitlines()[0] == told


def test_another_mirror_makes_no_difference() -> None:
    found = diff_locks(lock_of(a={}), lock_of(a={"url": "https://mirror.example.org/x.deb"}))
    assert render_text(found) == "no difference"


def test_a_difference_is_json_too() -> None:
    found = diff_locks(lock_of(), lock_of(a={})).model_dump(mode="json")
    assert found["added"][0]["new"]["version"] == "1"
    assert found["installedSizeChange"] == 3 * MIB
