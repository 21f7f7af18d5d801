"""Interfaces as netplan takes them, for systemd-networkd to carry out: one file of netplan(5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME
from image_composer.root.customise.interfaces import asks, vlans, wired
from image_composer.root.operations import Operation
from image_composer.spec.network import Dhcp, Interface

PLACE = f"/etc/netplan/{OWN_NAME}.yaml"

OTHERS = {"match": {"name": "e*"}, "dhcp4": True, "dhcp6": True}
"""Wired interfaces that the document does not name. The distribution's own file for them is not there with netplan."""


def plan(interfaces: Sequence[Interface]) -> Operation:
    """Give the file. Netplan names systemd-networkd's files by these ids, so the first entry that fits counts."""
    ethernets = {_id(number): _match(one) | _settings(one) for number, one in wired(interfaces)}
    tagged = {
        one.name: {"id": one.identifier, "link": _id(one.parent)}
        | (_settings(one.settings) if one.settings is not None else {"link-local": [], "accept-ra": False})
        for one in vlans(interfaces)
    }
    network = {"version": 2, "renderer": "networkd", "ethernets": ethernets | {_id(99): OTHERS}, "vlans": tagged}
    tree = {"network": {name: value for name, value in network.items() if value}}
    return operations.write(PLACE, yaml.safe_dump(tree, sort_keys=False), mode=0o600)


def _id(number: int) -> str:
    return f"image-{number:02}"


def _match(wanted: Interface) -> dict[str, Any]:
    address = {"macaddress": wanted.mac_address} if wanted.mac_address is not None else {}
    return {"match": {"name": wanted.name} | address}


def _settings(wanted: Interface) -> dict[str, Any]:
    servers = {"addresses": wanted.dns, "search": wanted.domains}
    routes = [
        {"to": route.destination or "default", "via": route.gateway}
        | ({} if route.metric is None else {"metric": route.metric})
        for route in wanted.routes
    ]
    asked = {"dhcp4": asks(wanted.dhcp, Dhcp.IPV4), "dhcp6": asks(wanted.dhcp, Dhcp.IPV6)}
    more: Mapping[str, Any] = {
        "addresses": wanted.addresses,
        "routes": routes,
        "nameservers": {name: value for name, value in servers.items() if value},
        "mtu": wanted.mtu,
        "optional": not wanted.required,
    }
    return asked | {name: value for name, value in more.items() if value}
