"""Unpacking with several workers gives what dpkg gives, file by file; where it can't, dpkg does it."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from image_composer.digest import bytes_sha256
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.root.idmap import choose_ids, read_id_files
from image_composer.root.install_deb import DebInstaller
from image_composer.root.sandbox import Sandbox
from image_composer.run import Runner
from image_composer.workspace import FetchedPackages
from support.composer import SCREEN, Composer, nothing_left, write_document
from support.debrepo import served
from support.debs import Deb
from support.distribution import document, with_repository
from support.events import Recorded
from support.openpgp import Key, Keychain
from support.rawdebs import Member, RawDeb, folder, write_raw_repository

pytestmark = [pytest.mark.network, pytest.mark.build]

SERVER = ["linux-image-cloud-amd64", "nginx-light", "openssh-server", "python3", "systemd-sysv", "udev", "dbus", "sudo"]
BY_DPKG = "unpacking with dpkg, one package after another"


def fetched(composer: Composer, workspace: Path, file: Path) -> Path:
    """Run the stages up to the packages."""
    for words in (["validate", "--file", str(file)], ["resolve"], ["fetch"]):
        outcome = composer.run("stage", *words, "--workspace", workspace)
        assert outcome.status == 0, outcome.error
    return workspace


def install(workspace: Path, place: Path, *, parallel: bool) -> list[str]:
    """Install the packages of a workspace into a root elsewhere; gives what was reported."""
    place.mkdir()
    shutil.copytree(workspace / "packages", place / "packages", copy_function=os.link)
    recorded = Recorded()
    reporter = Reporter(recorded)
    ids = choose_ids(os.geteuid(), os.getegid(), read_id_files())
    sandbox = Sandbox(place, Runner(reporter), ids, {"SOURCE_DATE_EPOCH": "1700000000"})
    sandbox.prepare("root", "exchange")
    names = FetchedPackages.model_validate_json((workspace / "fetch.json").read_bytes()).files
    files = {name: place / "packages" / file for name, file in names.items()}
    lock = Lock.model_validate_json((workspace / "lock.json").read_bytes())
    DebInstaller(sandbox, lock, files, os.cpu_count() or 1, reporter).install(parallel=parallel)
    return recorded.messages("info")


@dataclass(frozen=True)
class Entry:
    """What there is to know of a file."""

    kind: str
    mode: int
    uid: int
    gid: int
    links: int
    content: str
    """Digest, or what a link leads to."""


def tree(root: Path) -> dict[str, Entry]:
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        content = ""
        if stat.S_ISREG(status.st_mode):
            content = bytes_sha256(path.read_bytes())
        elif stat.S_ISLNK(status.st_mode):
            content = str(path.readlink())
        name = f"/{path.relative_to(root)}"
        links = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
        mode = stat.S_IMODE(status.st_mode)
        found[name] = Entry(stat.filemode(status.st_mode)[0], mode, status.st_uid, status.st_gid, links, content)
    return found


def differences(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> dict[str, tuple[Entry | None, Entry | None]]:
    names = sorted(one.keys() | other.keys())
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


@pytest.fixture(scope="module")
def both(bootable: Composer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A server's packages, installed by workers and by dpkg."""
    place = tmp_path_factory.mktemp("both")
    file = write_document(place, document(packages=SERVER))
    workspace = fetched(bootable, place / "workspace", file)
    assert len(json.loads((workspace / "lock.json").read_text())["packages"]) >= 120
    assert BY_DPKG not in str(install(workspace, place / "workers", parallel=True))
    assert BY_DPKG in str(install(workspace, place / "dpkg", parallel=False))
    return place / "workers/root", place / "dpkg/root"


ONE_RUNS_OWN = {
    "/etc/machine-id": "random; emptied in the image",
    "/var/lib/dbus/machine-id": "random; not in the image",
    "/var/cache/ldconfig/aux-cache": "numbers of inodes; not in the image",
    "/var/log/alternatives.log": "times; not in the image",
    "/var/log/dpkg.log": "times; not in the image",
}
"""Files whose content no two installations have alike, and why that is no matter."""

TRIGGERS = "/var/lib/dpkg/triggers/File"
"""A set of lines, which dpkg writes in the order of a table in its memory."""


def test_both_ways_give_the_same_files(both: tuple[Path, Path]) -> None:
    found = differences(*map(tree, both))
    assert sorted(found.keys() - ONE_RUNS_OWN.keys() - {TRIGGERS}) == []
    for name, (one, other) in found.items():
        assert one is not None, name
        assert other is not None, name
        assert replace(one, content="") == replace(other, content=""), name
    triggers, same_triggers = (sorted((root / TRIGGERS[1:]).read_text().splitlines()) for root in both)
    assert triggers == same_triggers


def test_both_ways_leave_dpkg_content(both: tuple[Path, Path]) -> None:
    one, other = ((root / "var/lib/dpkg/status").read_text() for root in both)
    assert one == other
    assert one.count("\nStatus: install ok installed\n") == one.count("\nPackage: ") + 1
    assert [path.name for root in both for path in root.rglob("*.dpkg-new")] == []


TOOL = RawDeb(
    Deb("tool"), (*(folder(f"./{name}") for name in ("", "usr", "usr/bin")), Member("./usr/bin/tool", b"tool"))
)


def diverter(name: str, path: str, *members: Member) -> RawDeb:
    """Give a package that moves a file of another away before it is unpacked."""
    divert = f"dpkg-divert --package {name} --add --rename --divert {path}.real {path}"
    return RawDeb(Deb(name, scripts={"preinst": f"#!/bin/sh\nset -e\n{divert}\n"}), (folder("./"), *members))


def overlapping(name: str, **fields: str) -> RawDeb:
    return RawDeb(Deb(name, fields=fields), (*TOOL.members[:-1], Member("./usr/bin/tool", name.encode())))


WRAPPER = diverter("wrapper", "/usr/bin/tool", *TOOL.members[1:-1], Member("./usr/bin/tool", b"wrapper"))
SILENCER = diverter("silencer", "/usr/bin/tool")


def workspace_with(
    composer: Composer, factory: pytest.TempPathFactory, keychain: Keychain, key: Key, *packages: RawDeb
) -> Path:
    """Give a workspace with packages of ours among the essential ones."""
    mirror, place = factory.mktemp("mirror"), factory.mktemp("workspace")
    write_raw_repository(mirror, keychain, key, *packages)
    with served(mirror) as url:
        file = write_document(place, with_repository(url, key, *(package.deb.name for package in packages)))
        return fetched(composer, place / "workspace", file)


@pytest.mark.parametrize(
    ("packages", "files"),
    [
        pytest.param((TOOL, WRAPPER), {"tool": "wrapper", "tool.real": "tool"}, id="file moved away and brought anew"),
        pytest.param((TOOL, SILENCER), {"tool.real": "tool"}, id="file moved away"),
        pytest.param((TOOL, overlapping("other", Replaces="tool")), {"tool": "other"}, id="file replaced"),
    ],
)
def test_packages_that_touch_each_others_files_are_left_to_dpkg(
    bootable: Composer,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    keychain: Keychain,
    key: Key,
    packages: tuple[RawDeb, ...],
    files: Mapping[str, str],
) -> None:
    workspace = workspace_with(bootable, tmp_path_factory, keychain, key, *packages)
    assert BY_DPKG in str(install(workspace, tmp_path / "installed", parallel=True))
    programs = tmp_path / "installed/root/usr/bin"
    assert {path.name: path.read_text() for path in programs.glob("tool*")} == files


def test_packages_that_overlap_fail_the_build_with_the_file_and_both_names(
    bootable: Composer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key
) -> None:
    mirror = tmp_path_factory.mktemp("mirror")
    write_raw_repository(mirror, keychain, key, TOOL, overlapping("other"))
    with served(mirror) as url, nothing_left(bootable, tmp_path_factory.mktemp("out")):
        file = write_document(tmp_path, with_repository(url, key, "tool", "other"))
        outcome = bootable.run("build", "-f", file, "-o", tmp_path / "out")
    assert (outcome.status, outcome.code) == (1, "ASSEMBLE_PACKAGE_FAILED")
    assert "installing tool failed" in outcome.error
    assert "trying to overwrite '/usr/bin/tool', which is also in package other 1.0" in outcome.error
    assert len(outcome.error.splitlines()) <= SCREEN
