"""Interfaces as NetworkManager takes them: a keyfile each, nm-settings-keyfile(5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid5

from image_composer.disk.identity import NAMESPACE
from image_composer.root import operations
from image_composer.root.customise.interfaces import Vlan, asks, is_ipv6, section, target, vlans, wired
from image_composer.root.operations import Operation
from image_composer.spec.network import Dhcp, Interface

FOLDER = "/etc/NetworkManager/system-connections"

FIRST_PRIORITY = 100
"""Of the first connection. Those after it have less, and one that an administrator adds has 0, so that the first entry
that fits an interface counts."""

ON_MANY = "3"
"""NetworkManager's number for a connection that several interfaces may have at once."""

Lines = list[tuple[str, str]]


def connections(interfaces: Sequence[Interface]) -> Iterator[Operation]:
    """Give the files of all interfaces. NetworkManager reads none that others may read."""
    files = {f"image-{number:02}": _wired(number, one) for number, one in wired(interfaces)}
    files |= {f"image-{one.parent:02}-{one.name}": _vlan(one, interfaces[one.parent]) for one in vlans(interfaces)}
    for stem, text in files.items():
        yield operations.write(f"{FOLDER}/{stem}.nmconnection", text, mode=0o600)


def _wired(number: int, wanted: Interface) -> str:
    many = _is_pattern(wanted.name)
    connection = [
        *_named(f"image-{number:02}", "ethernet"),
        ("interface-name", "" if many else wanted.name),
        ("multi-connect", ON_MANY if many else ""),
        ("autoconnect-priority", str(FIRST_PRIORITY - number)),
    ]
    device = [("mac-address", wanted.mac_address or ""), ("mtu", str(wanted.mtu or ""))]
    match = [("interface-name", f"{wanted.name};" if many else "")]
    return section("connection", connection) + section("ethernet", device) + section("match", match) + _ip(wanted)


def _vlan(wanted: Vlan, carrier: Interface) -> str:
    name = f"image-{wanted.parent:02}"
    parent = dict(_named(name, ""))["uuid"] if _is_pattern(carrier.name) else carrier.name
    connection = [*_named(f"{name}-{wanted.name}", "vlan"), ("interface-name", wanted.name)]
    device = [("mtu", str(wanted.settings.mtu or ""))] if wanted.settings is not None else []
    # flags: packets are handed on without their tag, which files take for switched off when it isn't there.
    tag = [("flags", "1"), ("id", str(wanted.identifier)), ("parent", parent)]
    rest = _ip(wanted.settings) if wanted.settings is not None else _no_ip()
    return section("connection", connection) + section("ethernet", device) + section("vlan", tag) + rest


def _named(name: str, kind: str) -> Lines:
    """Give what a connection is known by; its id is the same in every image, so a machine keeps what it knows of it."""
    return [("id", name), ("uuid", str(uuid5(NAMESPACE, f"connection/{name}"))), ("type", kind)]


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _ip(wanted: Interface) -> str:
    """Give the sections of both families. As systemd-networkd does, IPv6 follows what routers announce."""
    has_ipv4 = any(not is_ipv6(address) for address in wanted.addresses)
    method = "auto" if asks(wanted.dhcp, Dhcp.IPV4) else "manual" if has_ipv4 else "disabled"
    domains = "".join(f"{domain};" for domain in wanted.domains)
    ipv4 = [("method", method), *_family(wanted, ipv6=False), ("dns-search", "" if method == "disabled" else domains)]
    return section("ipv4", ipv4) + section(
        "ipv6", [("method", "auto"), *_family(wanted, ipv6=True), ("dns-search", domains)]
    )


def _family(wanted: Interface, *, ipv6: bool) -> Iterator[tuple[str, str]]:
    addresses = [address for address in wanted.addresses if is_ipv6(address) is ipv6]
    yield from ((f"address{number}", address) for number, address in enumerate(addresses, 1))
    yield "dns", "".join(f"{server};" for server in wanted.dns if is_ipv6(server) is ipv6)
    routes = [route for route in wanted.routes if is_ipv6(route.gateway) is ipv6]
    for number, route in enumerate(routes, 1):
        metric = "" if route.metric is None else f",{route.metric}"
        yield f"route{number}", f"{target(route)},{route.gateway}{metric}"


def _no_ip() -> str:
    return section("ipv4", [("method", "disabled")]) + section("ipv6", [("method", "disabled")])
