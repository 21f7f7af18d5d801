"""The network: systemd.network(5), systemd.netdev(5), resolved.conf(5), timesyncd.conf(5), nft(8)."""

from __future__ import annotations

from collections.abc import Iterator

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes, Root, whole_lines
from image_composer.root.operations import Operation
from image_composer.spec.network import Dhcp, Interface, NetworkSettings, Proxies

NETWORKS = "/etc/systemd/network"
TIMESYNCD = "/usr/lib/systemd/systemd-timesyncd"
NFTABLES = ("/etc/sysconfig/nftables.conf", "/etc/nftables.conf")
"""Files that nftables.service loads: Fedora's and Azure Linux's, Debian's."""

CHRONY = {"/etc/chrony/sources.d": ".sources", "/etc/chrony.d": ".conf"}
"""Folders that a distribution's chrony reads time servers from, and the ending that it wants there."""


def network_changes(wanted: NetworkSettings, root: Root) -> Changes:
    """Say what to write for the network; /etc/hosts is system.py's.

    Raises:
        AssemblyError: ASSEMBLE_NO_TIME_SERVICE.
    """
    found = [operation for number, one in enumerate(wanted.interfaces) for operation in _interface(number, one)]
    enable: list[str] = ["systemd-networkd.service"] if wanted.interfaces else []
    if wanted.dns or wanted.domains:
        lines = [("DNS", " ".join(wanted.dns)), ("Domains", " ".join(wanted.domains))]
        found.append(operations.write(f"/etc/systemd/resolved.conf.d/{OWN_NAME}.conf", _section("Resolve", lines)))
    if wanted.ntp_servers:
        found.append(_time_servers(wanted.ntp_servers, root))
    found += _proxies(wanted.proxies)
    if wanted.firewall.nftables is not None:
        place = next((path for path in NFTABLES if path in root.present), NFTABLES[-1])
        found.append(operations.write(place, whole_lines(wanted.firewall.nftables), mode=0o600))
        enable.append("nftables.service")
    return Changes(tuple(found), enable=tuple(enable))


def _interface(number: int, wanted: Interface) -> Iterator[Operation]:
    """Give the files of an interface and of the tagged networks on it; their names keep the document's order.

    The first file that fits an interface counts; the distributions' have 80 or more.
    """
    stem = f"10-image-{number:02}"
    match = [("Name", wanted.name), ("MACAddress", wanted.mac_address or "")]
    link = [("MTUBytes", str(wanted.mtu or "")), ("RequiredForOnline", "" if wanted.required else "no")]
    network = [
        ("DHCP", wanted.dhcp if wanted.dhcp is not Dhcp.NONE else ""),
        *(("Address", address) for address in wanted.addresses),
        *(("DNS", address) for address in wanted.dns),
        ("Domains", " ".join(wanted.domains)),
        *(("VLAN", name) for name in wanted.vlans),
    ]
    text = _section("Match", match) + _section("Link", link) + _section("Network", network)
    for route in wanted.routes:
        lines = [("Destination", route.destination or ""), ("Gateway", route.gateway)]
        text += _section("Route", [*lines, ("Metric", "" if route.metric is None else str(route.metric))])
    yield operations.write(f"{NETWORKS}/{stem}.network", text)
    for name, identifier in wanted.vlans.items():
        device = _section("NetDev", [("Name", name), ("Kind", "vlan")]) + _section("VLAN", [("Id", str(identifier))])
        yield operations.write(f"{NETWORKS}/{stem}-{name}.netdev", device)


def _time_servers(servers: list[str], root: Root) -> Operation:
    folder = next((name for name in CHRONY if name in root.present), None)
    if "chrony" in root.installed and folder is not None:
        lines = "".join(f"server {one} iburst\n" for one in servers)
        return operations.write(f"{folder}/{OWN_NAME}{CHRONY[folder]}", lines)
    if "chrony" in root.installed or TIMESYNCD not in root.present:
        raise AssemblyError(
            "ASSEMBLE_NO_TIME_SERVICE",
            "the image has no time service whose servers could be set: neither systemd-timesyncd nor a chrony that"
            " reads a folder of sources",
            hint="add systemd-timesyncd or chrony to packages, or write the service's own settings in files",
        )
    text = _section("Time", [("NTP", " ".join(servers))])
    return operations.write(f"/etc/systemd/timesyncd.conf.d/{OWN_NAME}.conf", text)


def _proxies(wanted: Proxies) -> list[Operation]:
    """Give the files that tell programs of proxies: those of sessions, and systemd's services."""
    named = {"http_proxy": wanted.http_proxy, "https_proxy": wanted.https_proxy, "no_proxy": wanted.no_proxy}
    both = [(word, value) for name, value in named.items() if value for word in (name, name.upper())]
    if not both:
        return []
    lines = "".join(f"{name}={value}\n" for name, value in both)
    services = "[Manager]\n" + "".join(f'DefaultEnvironment="{name}={value}"\n' for name, value in both)
    return [
        operations.write("/etc/environment", lines),
        operations.write(f"/etc/systemd/system.conf.d/{OWN_NAME}.conf", services),
    ]


def _section(name: str, lines: list[tuple[str, str]]) -> str:
    """Give a section of systemd's files; lines without a value are left out, and so is an empty section."""
    kept = [f"{key}={value}\n" for key, value in lines if value]
    return f"[{name}]\n{''.join(kept)}\n" if kept else ""
