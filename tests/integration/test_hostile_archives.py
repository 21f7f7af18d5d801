"""Packages that no image can be made of: the build fails, says which package and why, and the machine is as it was."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.composer import SCREEN, Composer, Outcome, nothing_left, snapshot, write_document
from support.debrepo import served
from support.debs import Deb
from support.distribution import with_repository
from support.openpgp import Key, Keychain
from support.rawdebs import Member, RawDeb, folder, hard_link, link, write_raw_repository

pytestmark = [pytest.mark.network, pytest.mark.build]

TOP = folder("./")
EVIL = Deb("evil")
BOOT = tuple(folder(f"./{name}") for name in ("", "boot"))
DATA_PARTITION: dict[str, Any] = {
    "disk": {
        "partitions": [
            {"label": "ESP", "type": "esp", "filesystem": "vfat", "mountPoint": "/boot/efi"},
            {"label": "root", "type": "root", "filesystem": "ext4", "mountPoint": "/"},
            {"label": "data", "type": "linux", "filesystem": "ext4", "mountPoint": "/srv"},
        ]
    }
}


def evil(*members: Member, **scripts: str) -> RawDeb:
    return RawDeb(Deb("evil", scripts=scripts), members)


def instead_of_dracut(script: str) -> RawDeb:
    """Give a package whose program makes the initramfs, as the last thing that is run in the root."""
    write = 'for last; do :; done\necho initramfs > "$last"\n'
    return own_program("dracut", f"{write}cd /run/image-composer/exchange\n{script}\n")


def own_program(name: str, script: str) -> RawDeb:
    """Give a package with a program that is found before the real one."""
    folders = tuple(folder(f"./{path}") for path in ("", "usr", "usr/local", "usr/local/sbin"))
    return evil(*folders, Member(f"./usr/local/sbin/{name}", f"#!/bin/sh\n{script}".encode(), mode=0o755))


def after_all_others(script: str) -> RawDeb:
    """Give a package whose script runs after those of all other packages: when triggers are dealt with."""
    postinst = f"#!/bin/sh\nif [ $1 = triggered ]; then {script}; else dpkg-trigger --no-await last-of-all; fi\n"
    return RawDeb(Deb("evil", scripts={"postinst": postinst}), (TOP,), {"triggers": "interest-noawait last-of-all\n"})


@dataclass(frozen=True)
class Case:
    """A package, given the folder of the host that it is after, and the end of the build that has it."""

    package: Callable[[Path], RawDeb]
    code: str
    said: tuple[str, ...]
    changes: dict[str, Any] | None = None


CASES = {
    "a file above the root": Case(
        lambda host: evil(TOP, Member(f"./../../../../../../..{host}/planted", b"x")),
        "ASSEMBLE_ACTION_FAILED",
        ("evil", "is not a name that a file of a package may have"),
    ),
    "a file through a link to the host": Case(
        lambda host: evil(TOP, link("./door", str(host)), Member("./door/planted", b"x")),
        "ASSEMBLE_PACKAGE_FAILED",
        ("evil", "./door/planted"),
    ),
    "a hard link to a file of the host": Case(
        lambda host: evil(TOP, hard_link("./stolen", f"{host}/secret")),
        "ASSEMBLE_PACKAGE_FAILED",
        ("evil", "./stolen"),
    ),
    "a hard link with dots": Case(
        lambda host: evil(TOP, hard_link("./stolen", f"../../../../../../..{host}/secret")),
        "ASSEMBLE_ACTION_FAILED",
        ("evil", "is not a name that a file of a package may have"),
    ),
    "a device": Case(
        lambda _: evil(TOP, Member("./disk", kind=tarfile.BLKTYPE, device=(254, 0))),
        "ASSEMBLE_ACTION_FAILED",
        ("evil", "/disk is a device node"),
    ),
    "a name of two lines": Case(
        lambda _: evil(TOP, Member("./a\n/etc/passwd", b"x")),
        "ASSEMBLE_ACTION_FAILED",
        ("evil", "is not a name that a file of a package may have"),
    ),
    "an archive that is cut off": Case(
        lambda _: RawDeb(EVIL, (TOP, Member("./a", b"x" * 9000)), broken=True),
        "ASSEMBLE_ACTION_FAILED",
        ("evil",),
    ),
    "another package than the index says": Case(
        lambda _: RawDeb(EVIL, (TOP,), {"control": Deb("base-files", "99").control()}),
        "ASSEMBLE_ACTION_FAILED",
        ("evil", "calls itself base-files 99 all, not evil 1.0 all"),
    ),
    "a trigger that is a path of the database": Case(
        lambda _: RawDeb(EVIL, (TOP,), {"triggers": "interest ../../../etc/passwd\n"}),
        "ASSEMBLE_ACTION_FAILED",
        ("evil", "is not a line of a file of triggers"),
    ),
    "a kernel that is a link to the host": Case(
        lambda host: evil(*BOOT, link("./boot/vmlinuz-9.9-evil", f"{host}/secret")),
        "ASSEMBLE_ACTION_FAILED",
        ("/boot/vmlinuz-9.9-evil",),
    ),
    "a kernel that is a named pipe": Case(
        lambda _: evil(*BOOT, Member("./boot/vmlinuz-9.9-evil", kind=tarfile.FIFOTYPE)),
        "ASSEMBLE_ACTION_FAILED",
        ("/boot/vmlinuz-9.9-evil", "not a regular file"),
    ),
    "an initramfs that is a link to the host": Case(
        lambda host: instead_of_dracut(f'rm "$last"; ln -s {host}/secret "$last"'),
        "ASSEMBLE_NOT_A_FILE",
        ("initrd",),
    ),
    "settings that became a link to the host": Case(
        lambda host: instead_of_dracut(f"mv /etc /usr/etc; ln -s {host} /etc"),
        "ASSEMBLE_ACTION_FAILED",
        ("/etc",),
    ),
    "a partition's folder that is a link": Case(
        lambda _: instead_of_dracut("ln -s / tree-data"),
        "ASSEMBLE_ACTION_FAILED",
        ("tree-data",),
        DATA_PARTITION,
    ),
    "a partition's folder that becomes a link": Case(
        lambda _: own_program("cp", 'for last; do :; done\nrmdir "$last"\nln -s / "$last"\n'),
        "ASSEMBLE_NOT_A_FOLDER",
        ("tree-data",),
        DATA_PARTITION,
    ),
    "a mount point that is a link": Case(
        lambda _: instead_of_dracut("rm -r /srv; ln -s /etc /srv"),
        "ASSEMBLE_ACTION_FAILED",
        ("/srv",),
        DATA_PARTITION,
    ),
    "a link where the sandbox covers a program": Case(
        lambda _: evil(*(folder(f"./{name}") for name in ("", "usr", "usr/bin")), link("./usr/bin/ssh-keygen", "/x")),
        "ASSEMBLE_ROOT_UNUSABLE",
        ("/usr/bin/ssh-keygen is a symbolic link",),
    ),
    "accounts that are no accounts": Case(
        lambda _: after_all_others("echo nonsense > /etc/passwd"),
        "ASSEMBLE_ACCOUNTS",
        ("/etc/passwd", "nonsense"),
    ),
    "accounts that are no text": Case(
        lambda _: after_all_others("printf '\\377\\376' > /etc/group"),
        "ASSEMBLE_ACCOUNTS",
        ("/etc/group",),
    ),
    "a script that fails": Case(
        lambda _: evil(TOP, postinst="#!/bin/sh\necho something is wrong >&2\nexit 7\n"),
        "ASSEMBLE_PACKAGE_FAILED",
        ("installing evil failed", "something is wrong"),
    ),
    "a first script that fails": Case(
        lambda _: evil(TOP, preinst="#!/bin/sh\necho something is wrong >&2\nexit 7\n"),
        "ASSEMBLE_PACKAGE_FAILED",
        ("preinst of evil failed with status 7", "something is wrong"),
    ),
    "a script that writes to the terminal": Case(
        lambda _: evil(TOP, postinst="#!/bin/sh\nprintf '\\033]0;owned\\007\\033[2Jcleared\\n' >&2\nexit 7\n"),
        "ASSEMBLE_PACKAGE_FAILED",
        ("installing evil failed", "cleared"),
    ),
    "a script that pretends the sandbox had failed": Case(
        lambda _: evil(TOP, postinst="#!/bin/sh\necho '{\"sandbox-refused\": not JSON' >&2\nexit 125\n"),
        "ASSEMBLE_PACKAGE_FAILED",
        ("installing evil failed",),
    ),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    (folder / "secret").write_text("canary-of-the-host")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_package_that_is_not_right_fails_the_build(
    bootable: Composer,
    keychain: Keychain,
    key: Key,
    host: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    case: str,
) -> None:
    expected = CASES[case]
    mirror = tmp_path_factory.mktemp("evil")
    write_raw_repository(mirror, keychain, key, expected.package(host))
    with served(mirror) as url:
        file = write_document(tmp_path, with_repository(url, key, "evil", **(expected.changes or {})))
        with nothing_left(bootable, tmp_path, host):
            outcome = bootable.run("build", "-f", file, "-o", tmp_path / "out")
    check(outcome, expected.code, expected.said)


def test_links_in_the_place_of_folders_do_not_get_it(
    bootable: Composer,
    keychain: Keychain,
    key: Key,
    host: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    places = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var")
    mirror, workspace = tmp_path_factory.mktemp("evil"), tmp_path / "workspace"
    write_raw_repository(mirror, keychain, key, evil(TOP, *(link(f"./{name}", str(host)) for name in places)))
    before = snapshot(host)
    with served(mirror) as url:
        file = write_document(tmp_path, with_repository(url, key, "evil"))
        for stage in ("validate", "resolve", "fetch", "assemble"):
            words = ["--file", str(file)] if stage == "validate" else []
            outcome = bootable.run("stage", stage, "--workspace", workspace, *words)
            assert outcome.status == 0, outcome.said
    assert [name for name in places if (workspace / "root" / name).is_symlink()] == []
    assert snapshot(host) == before


def check(outcome: Outcome, code: str, said: tuple[str, ...]) -> None:
    assert outcome.code == code, outcome.said
    assert outcome.status == 1
    assert [words for words in said if words not in outcome.error] == []
    assert len(outcome.error.splitlines()) <= SCREEN
    assert "Traceback" not in outcome.said
    assert "canary-of-the-host" not in outcome.said
    assert [character for character in outcome.said if not character.isprintable() and character != "\n"] == []
