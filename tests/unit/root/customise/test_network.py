"""The network, as systemd's programs, chrony and nft take it."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from image_composer.errors import AssemblyError
from image_composer.root.customise.changes import Root, together
from image_composer.root.customise.netplan import PLACE
from image_composer.root.customise.network import SERVICES, TIMESYNCD, network_changes
from image_composer.root.customise.systemd import systemd_changes
from image_composer.spec.network import NetworkSettings
from image_composer.spec.system import Systemd
from support import golden
from support.customised import root, written
from support.generated import values

FULL = {
    "name": "en*",
    "macAddress": "02:00:00:00:00:01",
    "dhcp": "ipv4",
    "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
    "routes": [{"gateway": "192.0.2.1", "metric": 0}, {"destination": "198.51.100.0/24", "gateway": "192.0.2.2"}],
    "dns": ["192.0.2.53"],
    "domains": ["example.org", "~."],
    "mtu": 1400,
    "vlans": {"office": 20},
    "required": False,
}
FULL_TEXT = """\
[Match]
Name=en*
MACAddress=02:00:00:00:00:01

[Link]
MTUBytes=1400
RequiredForOnline=no

[Network]
DHCP=ipv4
Address=192.0.2.10/24
Address=2001:db8::10/64
DNS=192.0.2.53
Domains=example.org ~.
VLAN=office

[Route]
Gateway=192.0.2.1
Metric=0

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.2

"""


def files_of(wanted: dict[str, Any], there: Root) -> dict[str, str]:
    return written(network_changes(NetworkSettings.model_validate(wanted), there))


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        ({}, root(), {}),
        (
            {"interfaces": [FULL]},
            root(),
            {
                "/etc/systemd/network/10-image-00.network": FULL_TEXT,
                "/etc/systemd/network/10-image-00-office.netdev": "[NetDev]\nName=office\nKind=vlan\n\n"
                "[VLAN]\nId=20\n\n",
            },
        ),
        (
            {"dns": ["192.0.2.53", "2001:db8::53"], "domains": ["example.org"]},
            root(),
            {
                "/etc/systemd/resolved.conf.d/90-image.conf": "[Resolve]\nDNS=192.0.2.53 2001:db8::53\n"
                "Domains=example.org\n\n"
            },
        ),
        (
            {"ntpServers": ["a.example.org", "192.0.2.123"]},
            root(TIMESYNCD),
            {"/etc/systemd/timesyncd.conf.d/90-image.conf": "[Time]\nNTP=a.example.org 192.0.2.123\n\n"},
        ),
        (
            {"ntpServers": ["a.example.org"]},
            root("/etc/chrony/sources.d", installed=["chrony"]),
            {"/etc/chrony/sources.d/90-image.sources": "server a.example.org iburst\n"},
        ),
        (
            {"proxies": {"httpsProxy": "http://[2001:db8::1]:3128/", "noProxy": "localhost,.example.org,10.0.0.0/8"}},
            root(),
            {
                "/etc/environment": "https_proxy=http://[2001:db8::1]:3128/\nHTTPS_PROXY=http://[2001:db8::1]:3128/\n"
                "no_proxy=localhost,.example.org,10.0.0.0/8\nNO_PROXY=localhost,.example.org,10.0.0.0/8\n",
                "/etc/systemd/system.conf.d/90-image.conf": "[Manager]\n"
                'DefaultEnvironment="https_proxy=http://[2001:db8::1]:3128/"\n'
                'DefaultEnvironment="HTTPS_PROXY=http://[2001:db8::1]:3128/"\n'
                'DefaultEnvironment="no_proxy=localhost,.example.org,10.0.0.0/8"\n'
                'DefaultEnvironment="NO_PROXY=localhost,.example.org,10.0.0.0/8"\n',
            },
        ),
        ({"firewall": {"nftables": "flush ruleset"}}, root(), {"/etc/nftables.conf": "flush ruleset\n"}),
        (
            {"firewall": {"nftables": "flush ruleset\n"}},
            root("/etc/sysconfig/nftables.conf"),
            {"/etc/sysconfig/nftables.conf": "flush ruleset\n"},
        ),
    ],
    ids=["nothing", "interface", "names", "timesyncd", "chrony", "proxies", "nftables", "nftables-of-azure-linux"],
)
def test_it_is_written_where_the_image_s_programs_read_it(
    wanted: dict[str, Any], there: Root, expected: dict[str, str]
) -> None:
    assert files_of(wanted, there) == expected


def test_interfaces_keep_their_order_and_come_before_the_distribution_s() -> None:
    """The first file that fits an interface counts."""
    found = files_of({"interfaces": [{"name": f"eth{number}"} for number in range(64)]}, root())
    names = [path.rpartition("/")[2] for path in found]
    assert names == sorted(names)
    assert max(names) < "80-dhcp.network"


def test_what_is_set_is_started() -> None:
    wanted = NetworkSettings.model_validate({"interfaces": [{"name": "eth0"}], "firewall": {"nftables": ""}})
    assert network_changes(wanted, root()).enable == ("systemd-networkd.service", "nftables.service")
    assert network_changes(NetworkSettings(), root()).enable == ()


GOLDEN = Path(__file__).with_name("golden")

INTERFACES: list[dict[str, Any]] = [
    {"name": "enp1s0", "macAddress": "10:00:00:00:00:01", "dhcp": "ipv4", "mtu": 1400, "vlans": {"office": 20}},
    {
        "name": "office",
        "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
        "routes": [
            {"gateway": "192.0.2.1", "metric": 0},
            {"destination": "198.51.100.0/24", "gateway": "192.0.2.2"},
            {"destination": "2001:db8:1::/48", "gateway": "2001:db8::1", "metric": 5},
        ],
        "dns": ["192.0.2.53", "2001:db8::53"],
        "domains": ["example.org", "~."],
        "mtu": 1300,
    },
    {"name": "en*", "dhcp": "yes", "vlans": {"spare": 7, "guests": 9}},
    {"name": "guests", "dhcp": "ipv6"},
    {"name": "eth?"},
]


@pytest.mark.parametrize("backend", ["networkd", "networkmanager", "netplan"])
def test_the_same_interfaces_are_told_to_each_backend(backend: str) -> None:
    """Looked at with `nmcli --offline` and `netplan generate`, see docs/customising/network.md."""
    found = files_of({"backend": backend, "interfaces": INTERFACES}, root())
    golden.check(GOLDEN / f"{backend}.txt", "".join(f"==> {path}\n{text}" for path, text in sorted(found.items())))


SCHEMA = NetworkSettings.model_json_schema()

SECTIONS = {"connection", "ethernet", "match", "vlan", "ipv4", "ipv6"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(values(SCHEMA, SCHEMA["$defs"]))
def test_whatever_the_models_take_is_read_back_as_it_was_said(wanted: dict[str, Any]) -> None:
    there = root(*SERVICES, TIMESYNCD)
    keyfiles = [
        keyfile(text)
        for path, text in files_of(wanted | {"backend": "networkmanager"}, there).items()
        if path.endswith(".nmconnection")
    ]
    assert len({one["connection"]["uuid"] for one in keyfiles}) == len(keyfiles)
    for one in keyfiles:
        assert {*one.sections()} <= SECTIONS
    tree = yaml.safe_load(files_of(wanted | {"backend": "netplan"}, there)[PLACE])["network"]
    interfaces = NetworkSettings.model_validate(wanted).interfaces
    made = {name: number for one in interfaces for name, number in one.vlans.items()}
    assert {name: one["id"] for name, one in tree.get("vlans", {}).items()} == made
    named = [one["match"]["name"] for one in tree["ethernets"].values()]
    assert named == [*(one.name for one in interfaces if one.name not in made), "e*"]
    patterns = {
        one["connection"].get("interface-name") or one["match"]["interface-name"].rstrip(";") for one in keyfiles
    }
    assert patterns == {*made, *named[:-1]}


def keyfile(text: str) -> ConfigParser:
    """Read a keyfile. Names that are there twice are an error."""
    found = ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#")
    found.read_string(text)
    return found


def test_a_tagged_network_has_what_the_first_entry_that_its_name_fits_says() -> None:
    interfaces = [{"name": "eth0", "vlans": {"office": 20}}, {"name": "off*", "dhcp": "ipv4"}, {"name": "office"}]
    files = files_of({"backend": "networkmanager", "interfaces": interfaces}, root())
    [text] = [text for path, text in files.items() if path.endswith("image-00-office.nmconnection")]
    assert "[ipv4]\nmethod=auto\n" in text


def test_what_is_not_required_is_optional_for_netplan() -> None:
    interfaces = [{"name": "eth0", "required": False}]
    [text] = files_of({"backend": "netplan", "interfaces": interfaces}, root()).values()
    assert "optional: true" in text


@pytest.mark.parametrize("backend", ["networkmanager", "netplan"])
def test_only_root_reads_files_that_could_hold_secrets(backend: str) -> None:
    wanted = NetworkSettings.model_validate({"backend": backend, "interfaces": INTERFACES})
    assert {operation["mode"] for operation in network_changes(wanted, root()).operations} == {0o600}


def test_a_connection_has_the_same_id_in_every_image_and_another_one_than_its_neighbours() -> None:
    wanted = {"backend": "networkmanager", "interfaces": INTERFACES}
    found = [text.splitlines()[2] for text in files_of(wanted, root()).values()]
    assert len({*found}) == len(found)
    assert found == [text.splitlines()[2] for text in files_of(wanted, root()).values()]
    assert all(line.startswith("uuid=") for line in found)


def test_with_netplan_all_wired_interfaces_ask_for_addresses_as_with_the_others() -> None:
    [text] = files_of({"backend": "netplan"}, root()).values()
    assert text.endswith("image-99:\n      match:\n        name: e*\n      dhcp4: true\n      dhcp6: true\n")


NETWORKD, NETWORK_MANAGER = "systemd-networkd.service", "NetworkManager.service"


@pytest.mark.parametrize(
    ("wanted", "started", "stopped"),
    [
        ({}, (), ()),
        ({"interfaces": [{"name": "eth0"}]}, (NETWORKD,), (NETWORK_MANAGER,)),
        ({"backend": "netplan"}, (NETWORKD,), (NETWORK_MANAGER,)),
        ({"backend": "networkmanager"}, (NETWORK_MANAGER,), (NETWORKD,)),
    ],
)
def test_one_service_brings_interfaces_up_and_the_other_is_not_started(
    wanted: dict[str, Any], started: tuple[str, ...], stopped: tuple[str, ...]
) -> None:
    network = NetworkSettings.model_validate(wanted)
    changes = network_changes(network, root(*SERVICES))
    assert (changes.enable, changes.disable) == (started, stopped)
    assert network_changes(network, root()).disable == (), "what is not there can't be disabled"


def test_who_starts_both_services_by_name_has_both() -> None:
    network = network_changes(NetworkSettings.model_validate({"interfaces": [{"name": "eth0"}]}), root(*SERVICES))
    both = together([network, systemd_changes(Systemd(enable=[NETWORK_MANAGER]), root())])
    assert ({*both.enable}, both.disable) == ({NETWORKD, NETWORK_MANAGER}, ())


@pytest.mark.parametrize("there", [root(), root(installed=["chrony"]), root(TIMESYNCD, installed=["chrony"])])
def test_time_servers_that_nothing_would_ask_are_refused(there: Root) -> None:
    with pytest.raises(AssemblyError, match="has no time service") as caught:
        files_of({"ntpServers": ["a.example.org"]}, there)
    assert caught.value.code == "ASSEMBLE_NO_TIME_SERVICE"
