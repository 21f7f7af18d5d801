"""The network: systemd.network(5), systemd.netdev(5), resolved.conf(5), timesyncd.conf(5), nft(8)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes, Root
from image_composer.root.operations import Operation
from image_composer.spec.network import Dhcp, Interface, NetworkSettings, Proxies

NETWORKS = "/etc/systemd/network"
CHRONY = {"/etc/chrony/sources.d": ".sources", "/etc/chrony.d": ".conf"}
"""Folders that a distribution's chrony reads time servers from, and the ending that it wants there."""


def network_changes(wanted: NetworkSettings, root: Root) -> Changes:
    """Say what to write for the network; /etc/hosts is system.py's."""
    found = [operation for number, one in enumerate(wanted.interfaces) for operation in _interface(number, one)]
    enable: list[str] = ["systemd-networkd.service"] if wanted.interfaces else []
    if wanted.dns or wanted.domains:
        lines = [("DNS", " ".join(wanted.dns)), ("Domains", " ".join(wanted.domains))]
        found.append(operations.write(f"/etc/systemd/resolved.conf.d/{OWN_NAME}.conf", _section("Resolve", lines)))
    if wanted.ntp_servers:
        found.append(_time_servers(wanted.ntp_servers, root.installed, root.present))
    found += _proxies(wanted.proxies)
    if wanted.firewall.nftables is not None:
        found.append(operations.write("/etc/nftables.conf", wanted.firewall.nftables, mode=0o600))
        enable.append("nftables.service")
    return Changes(tuple(found), enable=tuple(enable))


def _interface(number: int, wanted: Interface) -> Iterator[Operation]:
    """Give the files of an interface and of the tagged networks on it; their names keep the document's order."""
    stem = f"{20 + number:02}-image"
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


def _time_servers(servers: list[str], installed: Collection[str], present: Collection[str]) -> Operation:
    if "chrony" in installed:
        folder = next((name for name in CHRONY if name in present), next(iter(CHRONY)))
        lines = "".join(f"server {one} iburst\n" for one in servers)
        return operations.write(f"{folder}/{OWN_NAME}{CHRONY[folder]}", lines)
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
