"""Interfaces as systemd-networkd takes them: systemd.network(5), systemd.netdev(5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from image_composer.root import operations
from image_composer.root.customise.interfaces import section
from image_composer.root.operations import Operation
from image_composer.spec.network import Dhcp, Interface

NETWORKS = "/etc/systemd/network"


def networks(interfaces: Sequence[Interface]) -> Iterator[Operation]:
    """Give the files of all interfaces."""
    for number, one in enumerate(interfaces):
        yield from _interface(number, one)


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
    text = section("Match", match) + section("Link", link) + section("Network", network)
    for route in wanted.routes:
        lines = [("Destination", route.destination or ""), ("Gateway", route.gateway)]
        text += section("Route", [*lines, ("Metric", "" if route.metric is None else str(route.metric))])
    yield operations.write(f"{NETWORKS}/{stem}.network", text)
    for name, identifier in wanted.vlans.items():
        device = section("NetDev", [("Name", name), ("Kind", "vlan")]) + section("VLAN", [("Id", str(identifier))])
        yield operations.write(f"{NETWORKS}/{stem}-{name}.netdev", device)
