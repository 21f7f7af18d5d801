"""Images of a tiny rpm distribution, by the command line: what packages bring, what they run, and what goes wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from image_composer.digest import file_sha256
from support.composer import SCREEN, Composer, Outcome, nothing_left, snapshot, until, write_document
from support.debrepo import served
from support.disks import say
from support.distribution import OwnRpmRepository, document, write_distribution
from support.openpgp import Key, Keychain
from support.rpmbuild import Rpm, make_rpm
from support.tinyrpms import DRACUT, RUNS, TINY_BOOT, RpmMirror, tiny_system
from support.treasures import LEAST_ATTEMPTS, Treasures, treasures

pytestmark = pytest.mark.build

EPOCH = 1710000000
"""SOURCE_DATE_EPOCH of the image, later than everything in its packages."""

KEPT = Rpm(
    "kept",
    "1.5",
    epoch=2,
    files={
        "usr/bin/plain": "#!/bin/sh\n",
        "usr/bin/raised": "#!/bin/sh\n",
        "usr/bin/capable": "#!/bin/sh\n",
        "etc/hidden.conf": "secret\n",
        "etc/kept.conf": "as packed\n",
        "etc/ghost.conf": "never packed\n",
    },
    executable=frozenset({"usr/bin/plain"}),
    attributes={
        "usr/bin/raised": "%attr(6755, root, readers)",
        "usr/bin/capable": "%caps(cap_net_raw=ep) %attr(0755, root, root)",
        "etc/hidden.conf": "%attr(0640, keeper, readers)",
        "etc/kept.conf": "%config(noreplace) %attr(0644, root, root)",
        "etc/ghost.conf": "%ghost %config %attr(0644, root, root)",
    },
    scripts={"post": "echo changed >> /etc/kept.conf"},
    tags={"Requires": "tiny-system", "Requires(pre)": "tiny-system"},
)
MAKES_INITRAMFS = Rpm(
    "makes-initramfs",
    scripts={
        "post": "dracut --force /boot/initramfs-early.img",
        "posttrans": "/usr/bin/dracut --force /boot/initramfs-late.img",
    },
    tags={"Requires": "dracut", "Requires(post)": "dracut"},
)
KILLS_RPM = Rpm("kills-rpm", scripts={"post": "kill -9 $PPID"}, tags={"Requires(post)": "tiny-system"})
LIMPING = Rpm("limping", scripts={"post": "echo it hurts >&2\nexit 3"}, tags={"Requires(post)": "tiny-system"})
BROKEN = Rpm(
    "broken", scripts={"pre": "echo it is dark\necho no room >&2\nexit 4"}, tags={"Requires(pre)": "tiny-system"}
)
OWNERLESS = Rpm(
    "ownerless",
    files={"usr/bin/stray": "#!/bin/sh\n", "usr/bin/stray-too": "#!/bin/sh\n"},
    attributes={f"usr/bin/{name}": "%attr(4755, nobody-knows, root)" for name in ("stray", "stray-too")},
)
ONE, ALIKE, TWO = (
    Rpm(name, files={"usr/share/both": content})
    for name, content in (("one-side", "one\n"), ("alike", "one\n"), ("two-side", "two\n"))
)

PACKAGES = ("kept", "makes-initramfs", "limping", "ownerless", "one-side", "alike")
"""What can be installed together."""

LENT = r"""
sub mode_of { return (stat $_[0])[2] & 07777 }
my $host = '/run/image-composer/host';
attempt 'writing to the programs that are lent' => sub {
    join ' ', map { opened_for_writing("$host/usr/bin/$_") // () } 'rpm', 'env', 'planted-by-a-package';
};
attempt 'making a program there' => sub {
    sysopen(my $file, "$host/usr/bin/planted-by-a-package", O_WRONLY | O_CREAT) ? 'a file' : undef;
};
attempt 'renaming one to itself' => sub { rename("$host/usr/bin/env", "$host/usr/bin/env") || undef };
attempt 'giving one the mode that it has' => sub { my $env = "$host/usr/bin/env"; chmod(mode_of($env), $env) || undef };
attempt 'making it writable' => sub { called(['EPERM'], 165, 'none', "$host/usr", '', 4096 | 32, 0) };
attempt 'taking it away' => sub { called(['EPERM'], 166, "$host/usr", 2) };
attempt 'more of the host than /usr' => sub { join ' ', grep { $_ ne "$host/usr" } glob "$host/* $host/.[!.]*" };
attempt 'secret through it' => sub { contents("$host/usr/$up$at{secret}", "$host$at{secret}") };
attempt 'more in /run' => sub { join ' ', grep { $_ ne '/run/image-composer' } glob '/run/*' };
"""
"""More attempts, on what of the host is there while packages are installed; none would do harm, as those others."""

IN_LUA = """
posix.mkdir("/var"); posix.mkdir("/var/lib"); posix.mkdir("/var/lib/hostile")
local log = io.open("/var/lib/hostile/log", "a")
local function try(name, path, mode)
    local file, why = io.open(path, mode)
    log:write("pretrans ", name, ": ", file and "GOT it" or "nothing (" .. why .. ")", "\\n")
    if file then file:close() end
end
try("secret by its path", "{secret}", "r")
try("secret by parent folders", "/../../../../../..{secret}", "r")
try("secret by process 1", "/proc/1/root{secret}", "r")
try("a file beside it", "{secret}-planted", "w")
try("a program that is lent", "/run/image-composer/host/usr/bin/env", "a")
try("a new program there", "/run/image-composer/host/usr/bin/planted-by-a-package", "w")
try("a disk", "/dev/vda", "r")
log:close()
"""
"""Attempts of rpm's own interpreter, which runs in rpm itself and before there is any file in the root."""

SCRIPTS = {
    "pre": "pre -p /usr/bin/perl",
    "post": "post -p /usr/bin/perl",
    "trigger": "triggerin -p /usr/bin/perl -- tiny-boot",
    "filetrigger": "transfiletriggerin -p /usr/bin/perl -- /usr/share",
    "posttrans": "posttrans -p /usr/bin/perl",
}
"""Kinds of scripts: the section of a spec file by the name that is used here."""


def hostile(found: Treasures) -> Rpm:
    """Give a package all of whose scripts go for the machine."""
    script = found.script("rpm") + LENT
    scripts = {section: f"$ENV{{DPKG_MAINTSCRIPT_NAME}} = '{name}';\n{script}" for name, section in SCRIPTS.items()}
    scripts["pretrans -p <lua>"] = IN_LUA.replace("{secret}", str(found.folder / "secret"))
    return Rpm(
        "hostile",
        scripts={section: script.replace("%", "%%") for section, script in scripts.items()},
        tags={"Requires": "tiny-system", "Requires(pre)": "tiny-system", "Requires(post)": "tiny-system"},
    )


@dataclass(frozen=True)
class World:
    """The distribution's repository, and what builds from it."""

    mirror: RpmMirror
    key: Key
    composer: Composer

    def add(self, *rpms: Rpm) -> None:
        for rpm in rpms:
            self.mirror.add(make_rpm(rpm, self.mirror.folder), self.key)
        self.mirror.index(self.key)

    def refused(self, folder: Path, *packages: str) -> Outcome:
        """Build an image, which must fail, say so in a few lines and leave nothing."""
        file = write_document(folder, document(packages=list(packages)))
        with nothing_left(self.composer, folder):
            outcome = self.composer.run("build", "-f", file, "-o", folder / "out")
        assert (outcome.status, outcome.code) == (1, "ASSEMBLE_PACKAGE_FAILED"), outcome.said
        assert outcome.hint
        assert len(outcome.error.splitlines()) <= SCREEN
        return outcome


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, cache: Path, keychain: Keychain, key: Key) -> Iterator[World]:
    mirror = RpmMirror(tmp_path_factory.mktemp("rpms"), keychain)
    facts = {"initramfs": {"generator": "dracut", "packages": ["dracut"]}}
    with served(mirror.folder) as url:
        place = tmp_path_factory.mktemp("rpm-distribution")
        environment = write_distribution(place, OwnRpmRepository(url, [key]), facts=facts)
        found = World(mirror, key, Composer(cache, environment))
        found.add(
            tiny_system(),
            TINY_BOOT,
            DRACUT,
            KEPT,
            MAKES_INITRAMFS,
            LIMPING,
            KILLS_RPM,
            BROKEN,
            OWNERLESS,
            ONE,
            TWO,
            ALIKE,
        )
        yield found


@dataclass(frozen=True)
class Built:
    """What stages have left in a workspace."""

    file: Path
    """The document."""

    workspace: Path
    outcomes: Mapping[str, Outcome]

    @property
    def lock(self) -> Path:
        return self.workspace / "lock.json"

    @property
    def raw(self) -> Path:
        return self.workspace / "images" / "edge-1.0-x86_64.raw"

    def debugfs(self, *words: str | Path) -> str:
        """Ask for something in the file system of the image's root."""
        return say("debugfs", "-R", " ".join(map(str, words)), self.workspace / "parts" / "root.img")

    def names(self, folder: str) -> set[str]:
        """Give the names in a folder of it."""
        return {line.split("/")[5] for line in self.debugfs("ls", "-p", folder).splitlines() if line} - {".", ".."}


def run_stages(composer: Composer, folder: Path, packages: tuple[str, ...], *stages: str) -> Built:
    workspace, outcomes = folder / "workspace", {}
    file = write_document(folder, document(packages=list(packages), sourceDateEpoch=EPOCH))
    for stage in ("validate", "resolve", "fetch", "assemble", *stages):
        words = ["--file", str(file)] if stage == "validate" else []
        outcomes[stage] = composer.run("stage", stage, "--workspace", workspace, *words, options=["-v"])
        assert outcomes[stage].status == 0, outcomes[stage].said
    return Built(file, workspace, outcomes)


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return run_stages(world.composer, tmp_path_factory.mktemp("rpm-built"), PACKAGES, "image", "attest", "verify")


@pytest.mark.parametrize(
    ("path", "mode", "owner", "group"),
    [
        ("/usr/bin/plain", "0755", "0", "0"),
        ("/usr/bin/raised", "06755", "0", "322"),
        ("/usr/bin/capable", "0755", "0", "0"),
        ("/etc/hidden.conf", "0640", "321", "322"),
    ],
)
def test_owner_and_mode_are_the_packages(built: Built, path: str, mode: str, owner: str, group: str) -> None:
    told = built.debugfs("stat", path)
    found = re.search(r"Mode: +(\d+)", told), re.search(r"User: +(\d+) +Group: +(\d+)", told)
    assert [match.groups() for match in found if match] == [(mode,), (owner, group)]


def test_file_capabilities_are_the_packages(built: Built, tmp_path: Path) -> None:
    """Version 2 with the effective bit, CAP_NET_RAW permitted: linux/capability.h."""
    built.debugfs("ea_get", "-f", tmp_path / "found", "/usr/bin/capable", "security.capability")
    assert (tmp_path / "found").read_bytes() == bytes.fromhex("0100000200200000000000000000000000000000")
    assert "security.capability" not in built.debugfs("ea_list", "/usr/bin/plain")


def test_a_configuration_file_that_a_script_changed_stays_so(built: Built) -> None:
    assert built.debugfs("cat", "/etc/kept.conf") == "as packed\nchanged\n"


def test_a_ghost_is_known_but_not_there(built: Built, database: Path) -> None:
    assert {name for name in built.names("/etc") if "conf" in name} >= {"hidden.conf", "kept.conf"}
    assert "ghost.conf" not in built.names("/etc")
    form = "[%{FILENAMES} %{FILEFLAGS:fflags}\\n]"
    flags = dict(line.partition(" ")[::2] for line in query(database, form, "kept"))
    assert (flags["/etc/ghost.conf"], flags["/etc/kept.conf"], flags["/etc/hidden.conf"]) == ("cg", "cn", "")


def test_a_path_that_two_packages_bring_alike_is_there_once(built: Built) -> None:
    assert built.debugfs("cat", "/usr/share/both") == "one\n"


@pytest.fixture(scope="module")
def database(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of the image, on its own."""
    folder = tmp_path_factory.mktemp("database")
    built.debugfs("rdump", "/var/lib/rpm", folder)
    return folder / "rpm"


def query(database: Path, form: str, *names: str) -> list[str]:
    """Ask this machine's rpm about packages of a database, all unless some are named."""
    return say("rpm", "--dbpath", database, "-q", *(names or ["-a"]), "--qf", form).splitlines()


def test_the_database_says_what_the_lock_says(built: Built, database: Path) -> None:
    packages = json.loads(built.lock.read_text())["packages"]
    locked = {f"{package['name']} {package['version']} {package['architecture']}" for package in packages}
    version = "%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}"
    assert set(query(database, f"%{{NAME}} {version} %{{ARCH}}\\n")) == locked
    assert len(locked) == 3 + len(PACKAGES)


def test_packages_were_installed_at_the_image_s_time(database: Path) -> None:
    """rpm adds a second for each package, so that their order can be told from it."""
    lines = [line.split() for line in query(database, "%{INSTALLTID} %{INSTALLTIME}\\n")]
    assert {transaction for transaction, _ in lines} == {str(EPOCH)}
    assert sorted(int(time) for _, time in lines) == list(range(EPOCH, EPOCH + len(lines)))


def test_the_database_keeps_who_signed_a_package(database: Path, key: Key) -> None:
    form = "%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{%{DSAHEADER:pgpsig}}|\\n"
    assert all(line.endswith(key.fingerprint[-16:].lower()) for line in query(database, form))


def test_nothing_of_the_database_is_of_one_build_alone(built: Built) -> None:
    assert built.names("/var/lib/rpm") == {"rpmdb.sqlite"}


@pytest.mark.parametrize("locked", [False, True], ids=["resolved anew", "lock given back"])
def test_another_build_gives_the_same_bytes(world: World, built: Built, tmp_path: Path, locked: bool) -> None:
    words = ["--lock", str(built.lock)] if locked else []
    outcome = world.composer.run("build", "-f", built.file, "-o", tmp_path / "out", *words)
    assert outcome.status == 0, outcome.said
    assert file_sha256(tmp_path / "out" / built.raw.name) == file_sha256(built.raw)
    assert (tmp_path / "out" / "edge-1.0-x86_64.lock.json").read_bytes() == built.lock.read_bytes()


def test_dracut_made_an_initramfs_once_whoever_called_it(built: Built) -> None:
    assert built.debugfs("cat", f"/{RUNS}") == "run\n"
    assert built.names("/boot") == {"efi", "vmlinuz-1.0-tiny"}
    assert built.names("/etc/dracut.conf.d") == set()


def test_a_script_that_fails_after_unpacking_is_a_warning(built: Built) -> None:
    said = "warning: the script %post of limping-1.0-1.noarch failed: exit status 3; said last: it hurts"
    assert warnings(built)[0] == said


def test_files_of_a_user_that_is_missing_are_roots_without_its_rights_and_that_is_said(built: Built) -> None:
    said = "warning: files of the user nobody-knows belong to root: no package had brought that user before them"
    assert warnings(built)[1:] == [said]
    assert re.search(r"Mode: +0755 ", built.debugfs("stat", "/usr/bin/stray"))


def warnings(built: Built) -> list[str]:
    return re.findall(r"warning: .*", built.outcomes["assemble"].said)


def test_a_script_that_fails_before_unpacking_ends_the_build(world: World, tmp_path: Path) -> None:
    outcome = world.refused(tmp_path, "broken")
    assert "installing broken failed" in outcome.error
    assert "%prein(broken-1.0-1.noarch) scriptlet failed, exit status 4" in outcome.error
    assert "it is dark\nno room\n" in outcome.error


def test_two_packages_that_differ_about_a_path_end_the_build(world: World, tmp_path: Path) -> None:
    outcome = world.refused(tmp_path, "one-side", "two-side")
    assert "installing one-side and two-side together failed" in outcome.error
    assert "/usr/share/both" in outcome.error


def test_a_script_that_kills_rpm_ends_the_build(world: World, tmp_path: Path) -> None:
    outcome = world.refused(tmp_path, "kills-rpm")
    assert outcome.error.startswith("error: rpm failed with status 137 when it had come to kills-rpm\n")


@dataclass(frozen=True)
class Attack:
    """What happened."""

    treasures: Treasures
    before: object
    built: Built

    @property
    def log(self) -> list[str]:
        return (self.built.workspace / "root/var/lib/hostile/log").read_text(errors="replace").splitlines()


@pytest.fixture(scope="module")
def attack(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    with treasures(tmp_path_factory.mktemp("host"), world.composer.cache) as found:
        world.add(hostile(found))
        before = snapshot(found.folder)
        composer = replace(world.composer, environment={**world.composer.environment, "CANARY": found.secret})
        built = run_stages(composer, tmp_path_factory.mktemp("attack"), ("hostile", "one-side"))
        yield Attack(found, before, built)


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_that_a_script_tries_gets_it_anything(attack: Attack, script: str) -> None:
    lines = [line.removeprefix(f"{script} ") for line in attack.log if line.startswith(f"{script} ")]
    assert [line for line in lines if not re.fullmatch(r".*: nothing \(.*\)", line)] == []
    assert len(lines) >= LEAST_ATTEMPTS + LENT.count("attempt '")


def test_nor_does_it_in_the_language_of_rpm_itself(attack: Attack) -> None:
    lines = [line for line in attack.log if line.startswith("pretrans ")]
    assert [line for line in lines if not re.fullmatch(r".*: nothing \(.*\)", line)] == []
    assert len(lines) == IN_LUA.count("\ntry(")


def test_what_a_package_attacked_is_unharmed(attack: Attack) -> None:
    assert attack.treasures.victim.poll() is None
    assert snapshot(attack.treasures.folder) == attack.before
    assert attack.treasures.visitors() == []
    assert not Path("/usr/bin/planted-by-a-package").exists()


def test_the_secret_is_in_nothing_that_comes_out(attack: Attack) -> None:
    secret = attack.treasures.secret
    assert [name for name, outcome in attack.built.outcomes.items() if secret in outcome.said + outcome.printed] == []
    files = [path for path in attack.built.workspace.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert len(files) > 100


def test_no_daemon_of_a_script_is_left(attack: Attack) -> None:
    until(lambda: not attack.treasures.daemons(), lambda: f"still running: {attack.treasures.daemons()}")


def test_setuid_programs_are_nobodys_on_this_machine(built: Built) -> None:
    owners = {path.lstat().st_uid for path in (built.workspace / "root").rglob("*")}
    assert owners & {0, os.geteuid()} == set()
