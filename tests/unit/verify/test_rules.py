"""The rules by which an image and a start are judged, each with what it lets pass and what not."""

from __future__ import annotations

import base64
import stat

import pytest

from image_composer.inspect.owners import dpkg_files, through_links
from image_composer.inspect.tree import Node
from image_composer.spec.image import Architecture
from image_composer.verify.boottest import Ending, report_of
from image_composer.verify.leftovers import IDENTITIES, TRACES, account_problems, rights_problems
from image_composer.verify.packages import sbom_packages
from image_composer.verify.qemu import Accelerator
from image_composer.verify.secrets import PRIVATE_KEY, found, host_folders, secret_variables
from image_composer.verify.size import size_problems
from image_composer.verify.verdict import BootOutcome, complaints, failed_units, judge_state, trouble
from image_composer.verify.witness import UNIT, Statement, has_begun, machine_arguments, read_statement, tmpfiles_lines


def node(mode: int) -> Node:
    return Node(inode=12, mode=mode, uid=0, gid=0, size=0)


@pytest.mark.parametrize(
    ("path", "mode", "told"),
    [
        ("/etc/motd", stat.S_IFREG | 0o644, None),
        ("/etc/motd", stat.S_IFREG | 0o666, "anybody may write to /etc/motd"),
        ("/srv/drop", stat.S_IFDIR | 0o777, "anybody may write to /srv/drop"),
        ("/var/tmp", stat.S_IFDIR | 0o1777, None),
        ("/etc/mtab", stat.S_IFLNK | 0o777, None),
        ("/var/mail", stat.S_IFDIR | 0o2775, None),
        ("/bin/x", stat.S_IFREG | 0o4755, "/bin/x runs with its owner's rights, and no package brought it"),
        ("/bin/x", stat.S_IFREG | 0o2755, "/bin/x runs with its owner's rights, and no package brought it"),
        ("/var/log/journal", stat.S_IFREG | 0o2640, None),
    ],
)
def test_rights_that_no_package_gave(path: str, mode: int, told: str | None) -> None:
    assert list(rights_problems({path: node(mode)})) == ([told] if told else [])


def test_accounts_without_a_password_are_told() -> None:
    shadow = "root:*:1::::::\nopen::1::::::\nlocked:!:1::::::\nhash:$6$a$b:1::::::\n\n"
    assert list(account_problems(shadow)) == ["the account open has no password"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/ssh/ssh_host_ed25519_key", "identity"),
        ("/etc/ssh/ssh_host_rsa_key.pub", "identity"),
        ("/etc/ssh/sshd_config", ""),
        ("/var/lib/systemd/random-seed", "identity"),
        ("/var/lib/dbus/machine-id", "identity"),
        ("/etc/machine-id", ""),
        ("/root/.bash_history", "trace"),
        ("/home/bob/.python_history", "trace"),
        ("/home/bob/.ssh/authorized_keys", ""),
        ("/home/bob/.ssh/id_ed25519", "trace"),
        ("/root/.bashrc", ""),
        ("/usr/sbin/policy-rc.d", "trace"),
        ("/etc/apt/apt.conf.d/01proxy", "trace"),
        ("/etc/apt/apt.conf.d/70debconf", ""),
        ("/etc/apt/auth.conf", "trace"),
        ("/var/cache/apt/archives/curl_7_amd64.deb", "trace"),
        ("/var/cache/ldconfig/aux-cache", ""),
        ("/tmp/x", "trace"),
        ("/var/log/wtmp", ""),
    ],
)
def test_what_is_left_behind_is_known_by_its_path(path: str, kind: str) -> None:
    kinds = {"identity": IDENTITIES, "trace": TRACES}
    assert [name for name, pattern in kinds.items() if pattern.fullmatch(path)] == ([kind] if kind else [])


BODY = b"MC4CAQAwBQYDK2VwBCIEIJrKk0hUoTDNEVJzzT9oT0bW0b8f7Q2y9m4l8n0cQbPd"


@pytest.mark.parametrize(
    ("content", "is_key"),
    [
        (b"-----BEGIN PRIVATE KEY-----\n" + BODY + b"\n", True),
        (b"x\0-----BEGIN OPENSSH PRIVATE KEY-----\r\n" + BODY, True),
        (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n" + BODY, True),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + BODY, True),
        (b"-----BEGIN PUBLIC KEY-----\n" + BODY, False),
        (b"-----BEGIN CERTIFICATE-----\n" + BODY, False),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n\0\0\0-----END OPENSSH PRIVATE KEY-----\n", False),
    ],
)
def test_a_private_key_is_told_from_programs_that_know_the_words(content: bytes, is_key: bool) -> None:
    assert bool(PRIVATE_KEY.search(content)) == is_key


def test_secrets_of_an_environment_are_known_by_their_names() -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": "abcdefgh12345678",
        "GITHUB_TOKEN": "ghp_abcdefgh",
        "TOKEN": "short",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
        "PATH": "/usr/bin:/bin",
        "KEYBOARD": "a-long-value",
    }
    assert list(secret_variables(environment)) == ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"]
    assert found(b"x abcdefgh12345678 y", secret_variables(environment)) == ["AWS_SECRET_ACCESS_KEY"]


def test_a_pod_s_workspace_is_known_by_what_lies_in_it() -> None:
    paths = host_folders("/workspace", "/cache", ["root", "boot"])
    assert paths == ["/workspace/root", "/workspace/boot", "/cache/"]


def test_files_of_packages_are_found_where_the_merged_usr_has_them() -> None:
    files = dpkg_files([b"/.\n/lib\n/lib/x.so\n", b"/usr/bin/y\n/library/z\n"])
    assert {through_links(path, {"/lib", "/bin"}) for path in files} == {
        "/.", "/lib", "/usr/lib/x.so", "/usr/bin/y", "/library/z",
    }  # fmt: skip
    assert through_links("/lib/x.so", {"/bin"}) == "/lib/x.so"


def test_the_image_itself_is_not_one_of_its_packages() -> None:
    image = {"SPDXID": "SPDXRef-Image", "name": "edge", "versionInfo": "1"}
    package = {"SPDXID": "SPDXRef-Package-a", "name": "a", "versionInfo": "2"}
    assert ("a", "2") in sbom_packages({"packages": [image, package]})


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({}, []),
        ({"disk": 100}, []),
        ({"disk": 200}, ["the disk has 100 bytes, not the 200 of disk.size"]),
        ({"most_disk": 100, "most_file": 50}, []),
        ({"most_disk": 99}, ["the disk has 100 B, more than the 99 B of verify.maxDiskSize"]),
        ({"most_file": 49}, ["a.raw has 50 B, more than the 49 B of verify.maxFileSize"]),
    ],
)
def test_sizes_are_held_against_the_spec(limits: dict[str, int], told: list[str]) -> None:
    given = {"disk": None, "most_disk": None, "most_file": None, **limits}
    assert size_problems(100, {"a.raw": 50}, **given) == told


@pytest.mark.parametrize(
    ("console", "meaning"),
    [
        ("Debian GNU/Linux 12 debian ttyS0\n\ndebian login: ", None),
        ("[  OK  ] Reached target Multi-User System.\n", None),
        ("BdsDxe: No bootable option or device was found.\n", "the firmware found nothing to start"),
        ("!!!! X64 Exception Type - 06(#UD - Invalid Opcode)\n", "what the firmware started has crashed"),
        ("Synchronous Exception at 0x000000007C2C1000\n", "what the firmware started has crashed"),
        ("[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs\n", "the kernel panicked"),
        ("[    9.1] Kernel panic - not syncing: dm-verity device corrupted\n", "does not fit its hash"),
        ("[    9.1] device-mapper: verity: 254:2: data block 77 is corrupted\n", "does not fit its hash"),
        ("You are in emergency mode. After logging in, type", "emergency mode"),
        ("Cannot open access to console, the root account is locked.\n", "rescue mode"),
        ("[FAILED] Failed to mount /sysroot.\n", "the root could not be mounted"),
        ("error: no such partition.\nEntering rescue mode...\ngrub rescue> ", "the boot loader found no system"),
    ],
)
def test_a_console_tells_when_there_is_nothing_more_to_wait_for(console: str, meaning: str | None) -> None:
    told = trouble(console)
    assert told is None if meaning is None else meaning in (told or "")


def test_what_did_not_start_is_read_off_a_console() -> None:
    console = "[  OK  ] Started a.\n[ TIME ] Timed out waiting for device b.\n[DEPEND] Dependency failed for c.\nok\n"
    assert complaints(console) == ["[ TIME ] Timed out waiting for device b.", "[DEPEND] Dependency failed for c."]


@pytest.mark.parametrize(
    ("state", "units", "told"),
    [
        ("running", [], None),
        ("degraded", ["a.service"], "systemd says degraded: a.service failed"),
        ("maintenance", [], "systemd says maintenance"),
        ("", [], "systemd did not say how it is"),
    ],
)
def test_a_system_that_runs_is_good_and_any_other_is_not(state: str, units: list[str], told: str | None) -> None:
    assert judge_state(state, units) == told


SAID = """\
#begin\r
word\r
#kernel\r
6.1.0\r
#state\r
degraded\r
#failed\r
a.service loaded failed failed Does something\r
#errors\r
[    1.0] edge a[12]: it is broken\r
#analyze\r
Startup finished in 2s\r
#blame\r
1.5s b.service\r
#end\r
word\r
"""


def test_a_witness_is_understood() -> None:
    statement = read_statement(SAID, "word")
    assert statement is not None
    assert (statement.kernel, statement.state) == ("6.1.0", "degraded")
    assert failed_units(statement.failed) == ["a.service"]
    assert statement.errors == ("[    1.0] edge a[12]: it is broken",)
    assert statement.analyze == ("Startup finished in 2s", "1.5s b.service")


@pytest.mark.parametrize("end", range(0, len(SAID) - 3, 7))
def test_a_witness_that_is_not_done_is_waited_for(end: int) -> None:
    assert read_statement(SAID[:end], "word") is None


def test_a_witness_of_another_start_is_not_believed() -> None:
    assert read_statement(SAID, "other") is None
    assert (has_begun(SAID, "word"), has_begun(SAID, "other")) == (True, False)


def test_a_unit_stays_as_it_is_on_its_way_through_tmpfiles() -> None:
    lines = tmpfiles_lines("[Unit]\nDescription=50%\n").splitlines()
    assert lines[1].endswith(" - [Unit]\\nDescription=50%%\\n")
    assert [line.split()[0] for line in lines] == ["d", "f", "d", "L"]


def test_the_witness_speaks_over_the_second_port_that_the_machine_has() -> None:
    arguments = machine_arguments("/tmp/a", "word", Architecture.AARCH64)
    assert arguments[:4] == ["-chardev", "file,id=witness,path=/tmp/a", "-device", "pci-serial,chardev=witness"]
    for architecture, port in {Architecture.X86_64: "/dev/ttyS1", Architecture.AARCH64: "/dev/ttyS0"}.items():
        [credential] = [word for word in machine_arguments("/tmp/a", "word", architecture) if "extra-unit" in word]
        unit = base64.b64decode(credential.partition(f"{UNIT}=")[2]).decode()
        script = base64.b64decode(unit.partition("StandardInputData=")[2]).decode()
        assert script.startswith(f"exec >{port} 2>&1\n")


def test_a_machine_gets_the_witness_through_its_firmware_alone() -> None:
    arguments = machine_arguments("/tmp/a,,b", "word")
    assert arguments[:4] == ["-chardev", "file,id=witness,path=/tmp/a,,b", "-serial", "chardev:witness"]
    strings = [word for word in arguments if word.startswith("type=11,value=io.systemd.credential.binary:")]
    assert len(strings) == len([word for word in arguments if word == "-smbios"]) == 3
    assert all("," not in word.removeprefix("type=11,") for word in strings)


GOOD = Statement("6.1.0", "running", "", (), ("Startup finished",))


@pytest.mark.parametrize(
    ("ending", "console", "ended", "outcome", "marker", "reason"),
    [
        (Ending(statement=GOOD), "", False, "passed", "witness", "systemd says running"),
        (Ending(), "login: ", False, "passed", "login", "a login prompt came; nothing else is known of it"),
        (Ending(trouble="the kernel panicked: x"), "", False, "failed", "none", "the kernel panicked: x"),
        (None, "", True, "failed", "none", "the machine ended by itself"),
        (None, "login: ", False, "failed", "login", "the machine had not come up after 60 s"),
    ],
)
def test_a_start_is_judged_by_how_it_ended(
    ending: Ending | None, console: str, ended: bool, outcome: str, marker: str, reason: str
) -> None:
    report = report_of(ending, console, ended=ended, accelerator=Accelerator.TCG, seconds=60.0)
    assert (report.outcome, report.marker, report.reason) == (BootOutcome(outcome), marker, reason)
