"""A package from a signed repository whose scripts try, as root of the sandbox, to get at the machine that builds."""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from support.composer import Composer, Outcome, snapshot, until, write_document
from support.debrepo import served
from support.debs import Deb
from support.distribution import with_repository
from support.openpgp import Key, Keychain
from support.rawdebs import Member, RawDeb, folder, link, write_raw_repository
from support.treasures import LEAST_ATTEMPTS, Treasures, treasures

pytestmark = [pytest.mark.network, pytest.mark.build]

SCRIPTS = ("preinst", "config", "postinst", "trigger", "dracut")

TEMPLATES = "Template: hostile-config/q\nType: string\nDescription: a question\n A question.\n"
USES_DEBCONF = "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\ndb_version 2.0\ndb_stop\n"


@dataclass(frozen=True)
class Attack:
    """What happened."""

    treasures: Treasures
    workspace: Path
    before: object
    outcomes: list[Outcome]

    @property
    def root(self) -> Path:
        return self.workspace / "root"

    @property
    def log(self) -> list[str]:
        return (self.root / "var/lib/hostile/log").read_text(errors="replace").splitlines()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Treasures]:
    with treasures(tmp_path_factory.mktemp("host"), cache) as found:
        yield found


def hostile_packages(found: Treasures) -> list[RawDeb]:
    script = f"#!/usr/bin/perl\n{found.script('deb')}"
    secret = str(found.folder / "secret")
    return [
        RawDeb(
            Deb("hostile", scripts={"preinst": script, "postinst": script}),
            (
                *(folder(f"./{name}") for name in ("", "etc", "usr", "usr/bin", "usr/local", "usr/local/sbin")),
                *(folder(f"./usr/share{name}") for name in ("", "/doc", "/doc/hostile", "/doc/hostile-late")),
                Member("./usr/local/sbin/dracut", dracut(script).encode(), mode=0o755),
                Member("/etc/planted-by-an-absolute-name", b"x"),
                link("./everything", "/"),
                Member("./everything/etc/planted-through-a-link", b"x"),
                Member("./usr/bin/planted-setuid", b"#!/bin/sh\n", mode=0o6755),
                link("./usr/share/doc/hostile/copyright", secret),
                Member("./usr/share/doc/hostile-late/copyright", kind=tarfile.FIFOTYPE),
            ),
            {"triggers": "interest-noawait hostile-trigger\n"},
        ),
        RawDeb(
            Deb("hostile-config", depends="debconf", scripts={"config": script, "postinst": USES_DEBCONF}),
            control={"templates": TEMPLATES},
        ),
        RawDeb(
            Deb(
                "hostile-late",
                depends="hostile",
                scripts={"postinst": "#!/bin/sh\ndpkg-trigger --no-await hostile-trigger\n"},
            )
        ),
    ]


def dracut(script: str) -> str:
    """Give a program that makes the initramfs, among other things: it is the last of the root that is run."""
    return (
        script
        + """
my $exchange = '/run/image-composer/exchange';
open my $initrd, '>', $ARGV[-1] or die;
print $initrd 'initramfs';
close $initrd;
symlink $at{secret}, "$exchange/$_" for 'kernel', 'stub', 'loader', 'os-release', 'disk.raw';
rename '/var/lib/dpkg/status', '/var/lib/hostile/status';
symlink $at{secret}, '/var/lib/dpkg/status';
exit 0;
"""
    )


@pytest.fixture(scope="module")
def attack(
    tmp_path_factory: pytest.TempPathFactory, bootable: Composer, found: Treasures, keychain: Keychain, key: Key
) -> Attack:
    mirror, place = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("attack")
    packages = hostile_packages(found)
    write_raw_repository(mirror, keychain, key, *packages)
    before = snapshot(found.folder)
    composer = replace(bootable, environment={**bootable.environment, "CANARY": found.secret})
    outcomes = []
    with served(mirror) as url:
        file = write_document(place, with_repository(url, key, *(package.deb.name for package in packages)))
        for stage in ("validate", "resolve", "fetch", "assemble", "image", "attest"):
            words = ["--file", str(file)] if stage == "validate" else []
            outcomes.append(composer.run("stage", stage, "--workspace", place / "workspace", *words, options=["-v"]))
            assert outcomes[-1].status == 0, outcomes[-1].said
    return Attack(found, place / "workspace", before, outcomes)


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_that_a_script_tries_gets_it_anything(attack: Attack, script: str) -> None:
    lines = [line.removeprefix(f"{script} ") for line in attack.log if line.startswith(f"{script} ")]
    assert [line for line in lines if not re.fullmatch(r".*: nothing \(.*\)", line)] == []
    assert len(lines) >= LEAST_ATTEMPTS


def test_the_secret_is_in_nothing_that_comes_out(attack: Attack) -> None:
    secret = attack.treasures.secret.encode()
    for outcome in attack.outcomes:
        assert secret.decode() not in outcome.said + outcome.printed
    searched = 0
    for path in attack.workspace.rglob("*"):
        if path.is_file() and not path.is_symlink():
            searched += 1
            assert secret not in path.read_bytes(), path
    assert searched > 1000


def test_what_the_package_attacked_is_unharmed(attack: Attack) -> None:
    assert attack.treasures.victim.poll() is None
    assert snapshot(attack.treasures.folder) == attack.before
    assert attack.treasures.visitors() == []


def test_no_daemon_outlives_the_program_that_started_it(attack: Attack) -> None:
    until(lambda: not attack.treasures.daemons(), lambda: f"still running: {attack.treasures.daemons()}")


@pytest.mark.parametrize("name", ["planted-by-an-absolute-name", "planted-through-a-link"])
def test_files_with_odd_names_land_in_the_root(attack: Attack, name: str) -> None:
    assert (attack.root / "etc" / name).read_text() == "x"
    assert not (Path("/etc") / name).exists()


def test_setuid_programs_are_nobodys_on_this_machine(attack: Attack) -> None:
    status = (attack.root / "usr/bin/planted-setuid").stat()
    assert status.st_mode & stat.S_ISUID
    assert status.st_uid not in {0, os.geteuid()}
    owners = {path.lstat().st_uid for path in attack.root.rglob("*")}
    assert owners & {0, os.geteuid()} == set()
