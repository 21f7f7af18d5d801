"""What primary.xml may say, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.repository.pool import PackageFacts
from image_composer.repository.rpm.pool import RpmPool
from image_composer.repository.rpm.solvfile import write_solv_file
from image_composer.repository.sources import RpmSource
from support.rpmrepo import Rpm, filelists_xml, primary_xml

SOURCE = RpmSource(id="main", url="https://rpm.example.org", architecture="x86_64", keys=())
A = Rpm.of("a 2:1.0-3; Requires: b; Files: /usr/bin/a /usr/share/a/text")


def loaded(folder: Path, primary: bytes, filelists: bytes | None = None) -> RpmPool:
    write_solv_file(primary, filelists, folder / "index.solv", "repository main: primary")
    pool = RpmPool("x86_64")
    pool.add(SOURCE, folder / "index.solv")
    pool.prepare([], [])
    return pool


def facts(folder: Path, *rpms: Rpm) -> PackageFacts:
    pool = loaded(folder, primary_xml(rpms))
    package = pool.candidate(rpms[0].name)
    assert package is not None
    return pool.facts(package)


def refused(folder: Path, primary: bytes, filelists: bytes | None = None) -> tuple[str, str]:
    with pytest.raises(RepositoryError, match=r"^repository main: primary") as caught:
        loaded(folder, primary, filelists)
    assert caught.value.hint
    return caught.value.code, caught.value.message


def test_all_that_the_lock_needs_survives(tmp_path: Path) -> None:
    found = facts(tmp_path, A)
    assert (found.name, found.version, found.architecture) == ("a", "2:1.0-3", "x86_64")
    assert (found.size, found.installed_size, found.essential) == (1234, 5678, False)
    assert found.sha256 == A.digest
    assert found.filename == "Packages/a-1.0-3.x86_64.rpm"
    assert found.repository is SOURCE


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("a 2:1-3", ("a", "1-3")),
        ("a 1-3; Source: a-1-3.src.rpm", ("a", "1-3")),
        ("libfoo-devel 1-3; Source: foo-lib-2.0~rc1-1.azl3.src.rpm", ("foo-lib", "2.0~rc1-1.azl3")),
        ("a 1-3; Source: blob-1-1.nosrc.rpm", ("blob", "1-1")),
        ("a 1-3; Source: strange", ("a", "1-3")),
    ],
)
def test_the_source_is_read_off_its_file_name(tmp_path: Path, line: str, source: tuple[str, str]) -> None:
    found = facts(tmp_path, Rpm.of(line))
    assert (found.source, found.source_version) == source


@pytest.mark.parametrize(
    ("location", "filename"),
    [
        ("a.rpm", "a.rpm"),
        ("Packages/a/a-1%5Egit-1.rpm", "Packages/a/a-1^git-1.rpm"),
        ("./Packages/a.rpm", "Packages/a.rpm"),
        ("a-2:1.rpm", "a-2:1.rpm"),
    ],
)
def test_a_location_is_a_path_below_the_repository(tmp_path: Path, location: str, filename: str) -> None:
    assert facts(tmp_path, Rpm("a", location=location)).filename == filename


@pytest.mark.parametrize("location", ["../a.rpm", "/a.rpm", "x/%2e%2e/a.rpm", "https://example.org/a.rpm", "a b.rpm"])
def test_a_location_outside_is_refused(tmp_path: Path, location: str) -> None:
    code, message = refused(tmp_path, primary_xml([Rpm("a", location=location)]))
    assert code == "REPO_MALFORMED"
    assert "a 1-1 has an unacceptable location" in message


def test_another_base_is_refused(tmp_path: Path) -> None:
    primary = primary_xml([A]).replace(b"<location ", b'<location xml:base="https://example.org" ')
    assert "unacceptable location" in refused(tmp_path, primary)[1]


def test_the_paths_of_primary_are_provided_and_the_others_with_filelists(tmp_path: Path) -> None:
    asking = Rpm.of("b; Requires: /usr/bin/a, /usr/share/a/text")
    for filelists, expected in ((None, 1), (filelists_xml([A, asking]), 2)):
        pool = loaded(tmp_path, primary_xml([A, asking]), filelists)
        package = pool.candidate("b")
        assert package is not None
        assert sum(bool(pool.meeting(need)) for need in pool.requirements(package)) == expected


def test_an_empty_repository_is_fine(tmp_path: Path) -> None:
    assert loaded(tmp_path, primary_xml([])).names() == set()


WHOLE = primary_xml([A, Rpm("b")])
BROKEN = {
    "nothing": (b"", "REPO_MALFORMED"),
    "an end in the middle": (WHOLE[:-400], "REPO_MALFORMED"),
    "a tag that is not closed": (WHOLE.replace(b"</name>", b"", 1), "REPO_MALFORMED"),
    "another document": (filelists_xml([A]), "REPO_MALFORMED"),
    "a web page": (b"<html><body/></html>", "REPO_MALFORMED"),
    "fewer packages than announced": (WHOLE.replace(b'packages="2"', b'packages="3"'), "REPO_MALFORMED"),
    "a document type": (WHOLE.replace(b"?>\n", b'?>\n<!DOCTYPE metadata [<!ENTITY a "b">]>\n', 1), "REPO_MALFORMED"),
    "an encoding for which that can't be seen": (WHOLE.decode().encode("utf-16"), "REPO_MALFORMED"),
    "an encoding that says so": (WHOLE.replace(b"UTF-8", b"UTF-7"), "REPO_MALFORMED"),
    "SHA-1": (primary_xml([Rpm("a", checksum=("sha", "0" * 40))]), "REPO_NO_SHA256"),
    "SHA-512": (primary_xml([Rpm("a", checksum=("sha512", "0" * 128))]), "REPO_NO_SHA256"),
    "no digest": (WHOLE.replace(b"checksum", b"check"), "REPO_NO_SHA256"),
    "half a digest": (primary_xml([Rpm("a", checksum=("sha256", "0" * 63))]), "REPO_MALFORMED"),
    "a name that is none": (primary_xml([Rpm("a*b")]), "REPO_MALFORMED"),
    "a name that is a path": (primary_xml([Rpm("../a")]), "REPO_MALFORMED"),
    "no version": (WHOLE.replace(b'ver="1.0"', b'ver=""'), "REPO_MALFORMED"),
    "no size": (WHOLE.replace(b'package="1234"', b""), "REPO_MALFORMED"),
    "no location": (WHOLE.replace(b"<location ", b"<place "), "REPO_MALFORMED"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_primary_with_this_is_refused(tmp_path: Path, broken: str) -> None:
    primary, code = BROKEN[broken]
    assert refused(tmp_path, primary)[0] == code


def test_broken_filelists_are_refused(tmp_path: Path) -> None:
    whole = filelists_xml([A])
    for broken in (whole[:-40], primary_xml([A]), whole.replace(b'packages="1"', b'packages="2"')):
        code, message = refused(tmp_path, primary_xml([A]), broken)
        assert code == "REPO_MALFORMED"
        assert "filelists" in message


def test_an_error_is_one_line(tmp_path: Path) -> None:
    assert len(refused(tmp_path, WHOLE[:-400])[1].splitlines()) == 1


def test_the_same_metadata_gives_the_same_file(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "other"):
        write_solv_file(WHOLE, None, tmp_path / name, "main")
        digests.add(bytes_sha256((tmp_path / name).read_bytes()))
    assert len(digests) == 1
