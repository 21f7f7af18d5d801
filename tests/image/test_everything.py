"""examples/everything.yaml, with a key of ours: composed, started once, and asked about each of its fields."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_composer.disk.pe import read_pe_sections
from image_composer.run import Runner
from image_composer.verify.boot import Machine
from image_composer.verify.qemu import Hardware, choose_accelerator, find_firmware
from support.composer import Composer, write_document
from support.guest import BOOT_SECONDS, FACTS, Fact, Ssh, free_port, read_facts
from support.image import Credentials, Image, build
from support.marks import on_the_machine

pytestmark = [pytest.mark.build, pytest.mark.network]

EXAMPLE = Path(__file__).parents[2] / "examples" / "everything.yaml"

FACT = FACTS.read_text().partition("\n}\n")[0] + "\n}\n"
"""The function that facts.sh tells facts with."""

QUESTIONS = {
    "failed": "systemctl list-units --failed --no-legend --plain",
    "state": "systemctl is-system-running --wait",
    "alice": "id alice; getent passwd alice; getent group operators",
    "bert-expires": "LC_ALL=C chage -l bert",
    "bert-may": "sudo -l -U bert",
    "bert-with-rights": "runuser -u bert -- sudo -n /usr/bin/env A=b:c",
    "bert-without": "runuser -u bert -- sudo -n /usr/bin/env A=b:d",
    "files": "stat --format '%n %a %U %G' /etc/gateway/gateway.conf /srv/gateway /srv/gateway/magic.bin",
    "content": "cat /etc/gateway/gateway.conf",
    "magic": "od -An -tx1 /srv/gateway/magic.bin",
    "link": "readlink /etc/gateway/current",
    "unit": "systemctl is-active gateway.service && cat /run/gateway/seen",
    "states": "systemctl is-enabled gateway.service apt-daily.timer apt-daily-upgrade.timer; systemctl get-default",
    "preset": "grep -H . /etc/systemd/system-preset/10-image.preset",
    "sysctl": "sysctl -n net.ipv4.ip_forward kernel.panic",
    "modules": "ls /sys/class/net; cat /sys/class/net/dummy0/ifalias",
    "blacklist": "modprobe --showconfig | grep -x 'blacklist pcspkr' && ! grep -w pcspkr /proc/modules",
    "tmpfiles": "stat --format '%a %U %G' /run/gateway",
    "hostname": "uname -n; getent hosts printer",
    "interfaces": "networkctl --no-legend --no-pager list",
    "office": "ip -json address show dev office",
    "route": "ip route show 198.51.100.0/24",
    "names": "resolvectl dns; resolvectl domain",
    "time-servers": "timedatectl show-timesync --property SystemNTPServers --value",
    "services-proxy": "systemctl show --property DefaultEnvironment --value; systemctl show-environment",
    "firewall": "nft list ruleset",
    "zone": "timedatectl show --property Timezone --value; date -d @0 +%H",
    "language": "LC_ALL=de_DE.UTF-8 date -d @0 +%A; cat /etc/locale.conf",
    "keyboard": "cat /etc/default/keyboard /etc/vconsole.conf; systemctl is-active keyboard-setup.service",
    "messages": "cat /etc/motd /etc/issue",
    "ssh": "sshd -T",
    "listens": "ss --listening --tcp --numeric --no-header",
    "trusted": "openssl verify -no_check_time /usr/local/share/ca-certificates/example.crt",
    "mounts": "for place in /srv/fast /srv/closed; do findmnt -no TARGET,FSTYPE,LABEL $place; touch $place/x; done",
    "swap": "swapon --noheadings --show=TYPE,PRIO,LABEL",
    "encrypted": "cryptsetup status luks-closed; stat --format '%a %U %s' /var/lib/image-composer/keys/closed.key",
    "scripts": "cat /etc/scripts; ls -A /var/tmp | grep image-composer",
}


def document(credentials: Credentials) -> dict[str, Any]:
    """Give the example's image with a key of ours for alice, and for root, who may not log in all the same.

    It is started here, and asked more than its build would ask it: so that need not start it too.
    """
    spec: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())["spec"]["image"]
    keys = {"sshAuthorizedKeys": [credentials.public_key]}
    alice, *others = spec["users"]
    return {**spec, "users": [{**alice, **keys}, *others, {"name": "root", **keys}], "verify": {}}


@pytest.fixture(scope="module")
def image(composer: Composer, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("everything")
    yield build(composer, write_document(folder, document(credentials)), folder / "published")
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Seen:
    """What was seen of the machine."""

    facts: Mapping[str, Fact]
    session: str
    """Variables of alice's session."""

    banner: str
    """What the server shows before a login."""

    root_gets_in: bool


@pytest.fixture(scope="module")
def seen(image: Image, credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder, runner = tmp_path_factory.mktemp("machine-everything"), Runner()
    hardware = Hardware(choose_accelerator(runner), find_firmware(), ssh_port=free_port(), ssh_server_port=2222)
    questions = "".join(f"fact {name} sh -c {shlex.quote(command)}\n" for name, command in QUESTIONS.items())
    with Machine(runner, image.raw, hardware, log=folder / "console.log") as machine:
        machine.wait_for("login: ", BOOT_SECONDS)
        ssh = Ssh(hardware.ssh_port or 0, credentials, folder)
        ssh.wait_until_served()
        facts = read_facts(ssh.run("sudo", "-n", "sh", "-s", stdin=(FACT + questions).encode()))
        session = ssh.run("printenv").decode()
        return Seen(facts, session, banner_of(ssh), ssh.lets_in("root"))


def banner_of(ssh: Ssh) -> str:
    """Give what the server shows before a login."""
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oBatchMode=yes"]
    words = ["ssh", "-F", "none", "-p", str(ssh.port), *options, "nobody@127.0.0.1"]
    return subprocess.run(words, capture_output=True, text=True, timeout=BOOT_SECONDS, check=False).stderr


@on_the_machine
def test_it_starts_and_systemd_is_content(seen: Seen) -> None:
    assert (seen.facts["failed"].text, seen.facts["state"].text) == ("", "running")


@on_the_machine
def test_users_groups_and_rights_are_there(seen: Seen) -> None:
    assert "900(operators)" in seen.facts["alice"].lines[0]
    assert seen.facts["alice"].lines[1].split(":")[4] == "Alice Example"
    assert seen.facts["alice"].lines[2] == "operators:x:900:alice"
    assert re.search(r"Account expires\s*: Dec 31, 2099", seen.facts["bert-expires"].text)
    assert "NOPASSWD: /usr/bin/systemctl restart gateway.service" in seen.facts["bert-may"].text
    assert seen.facts["bert-with-rights"].status == 0
    assert seen.facts["bert-without"].status == 1


@on_the_machine
def test_files_and_folders_have_their_content_owner_and_mode(seen: Seen) -> None:
    assert seen.facts["files"].lines == [
        "/etc/gateway/gateway.conf 640 root operators",
        "/srv/gateway 2775 bert operators",
        "/srv/gateway/magic.bin 644 bert operators",
    ]
    assert seen.facts["content"].text == "answer = 42 $(id) `id` %h"
    assert seen.facts["magic"].text.split() == ["00", "01", "02", "03"]
    assert seen.facts["link"].text == "/etc/gateway/gateway.conf"


@on_the_machine
def test_units_run_are_changed_and_kept_from_running(seen: Seen) -> None:
    assert seen.facts["unit"].lines == ["active", "answer = 42 $(id) `id` %h", "hello"]
    assert seen.facts["states"].lines == ["enabled", "disabled", "masked", "multi-user.target"]
    assert seen.facts["preset"].text.endswith(":disable *.timer")


@on_the_machine
def test_the_kernel_is_as_it_was_told(seen: Seen) -> None:
    assert seen.facts["sysctl"].lines == ["1", "10"]
    assert {"dummy0", "dummy1", "lan"} <= {*seen.facts["modules"].lines}
    assert (seen.facts["blacklist"].status, seen.facts["blacklist"].text) == (0, "blacklist pcspkr")
    assert seen.facts["tmpfiles"].text == "750 root operators"


@on_the_machine
def test_the_network_is_as_it_was_told(seen: Seen) -> None:
    facts = seen.facts
    assert facts["hostname"].lines[0] == "gate.example.org"
    assert facts["hostname"].lines[1].split() == ["192.0.2.7", "printer.example.org", "printer"]
    states = {line.split()[1]: line.split()[-1] for line in facts["interfaces"].lines}
    assert states["office"] == "configured"
    [office] = facts["office"].document
    assert "192.0.2.10" in {one["local"] for one in office["addr_info"]}
    assert re.search(r"via 192\.0\.2\.1 dev office .*metric 500", facts["route"].text)
    assert "192.0.2.53" in facts["names"].text
    assert "example.org" in facts["names"].text
    assert facts["time-servers"].text == "ntp.example.org"


@on_the_machine
def test_sessions_and_services_are_told_of_the_proxy(seen: Seen) -> None:
    assert "http_proxy=http://proxy.example.org:3128\n" in seen.session
    assert "NO_PROXY=localhost,.example.org\n" in seen.session
    assert "http_proxy=http://proxy.example.org:3128" in seen.facts["services-proxy"].text


@on_the_machine
def test_the_machine_has_made_the_file_systems_that_were_left_to_it(seen: Seen) -> None:
    assert [line.split() for line in seen.facts["mounts"].lines] == [
        ["/srv/fast", "xfs", "fast-data"],
        ["/srv/closed", "btrfs", "closed"],
    ]
    assert seen.facts["swap"].text.split() == ["partition", "5", "swap"]


@on_the_machine
def test_what_is_encrypted_has_a_key_of_the_machine_s_own(seen: Seen) -> None:
    *status, key = seen.facts["encrypted"].lines
    assert "  type:    LUKS2" in status
    assert key == "600 root 64"


@on_the_machine
def test_packets_are_filtered(seen: Seen) -> None:
    assert "tcp dport 9 drop" in seen.facts["firewall"].text


@on_the_machine
def test_language_keyboard_and_time_are_set(seen: Seen) -> None:
    assert seen.facts["zone"].lines == ["Europe/Berlin", "01"]
    assert seen.facts["language"].lines == ["Donnerstag", "LANG=de_DE.UTF-8"]
    assert "LANG=de_DE.UTF-8\n" in seen.session
    assert {'XKBLAYOUT="de"', "KEYMAP=de-latin1", "active"} <= {*seen.facts["keyboard"].lines}


@on_the_machine
def test_people_read_the_messages(seen: Seen) -> None:
    assert seen.facts["messages"].lines == ["Welcome to the gateway.", r"Gateway, console \l"]
    assert "Only for staff of example.org." in seen.banner


@on_the_machine
def test_the_ssh_server_listens_where_and_lets_in_whom_it_was_told(seen: Seen) -> None:
    listens = {line.split()[3].rpartition(":")[2] for line in seen.facts["listens"].lines}
    assert "2222" in listens
    assert "22" not in listens
    assert {"permitrootlogin no", "passwordauthentication no"} <= {*seen.facts["ssh"].lines}
    assert not seen.root_gets_in


@on_the_machine
def test_the_authority_is_trusted(seen: Seen) -> None:
    assert seen.facts["trusted"].text.endswith(": OK")


@on_the_machine
def test_scripts_ran_in_their_order_and_left_nothing_else(seen: Seen) -> None:
    assert seen.facts["scripts"].lines == ["first", "second of everything 1.0.0 at Example Street 1", "last"]


def test_the_initramfs_has_the_options_of_modules(image: Image, tmp_path: Path) -> None:
    packed = read_pe_sections(image.uki(tmp_path).read_bytes())[".initrd"]
    done = subprocess.run(["zstd", "--decompress", "--stdout"], input=packed, capture_output=True, check=True)
    assert b"options dummy numdummies=2\nblacklist pcspkr\n" in done.stdout


def test_the_lock_has_the_packages_that_fields_bring(image: Image) -> None:
    assert {"locales", "console-setup", "nftables", "ca-certificates", "sudo"} <= image.packages.keys()
    assert json.loads(image.path("lock.json").read_text())["target"]["release"] == "12"
