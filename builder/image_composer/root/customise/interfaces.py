"""What the writers of the network's files share: which interfaces are made, and what each is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from image_composer.spec.network import Dhcp, Interface, Route


@dataclass(frozen=True, slots=True)
class Vlan:
    """A tagged network."""

    name: str
    """Name of the interface that is made for it."""

    identifier: int
    parent: int
    """Place of the interface that carries it among the document's."""

    settings: Interface | None
    """What the document says about it: the first entry that its name fits; None where there is none."""


def vlans(interfaces: Sequence[Interface]) -> Iterator[Vlan]:
    """Give the tagged networks of all interfaces."""
    for number, carrier in enumerate(interfaces):
        for name, identifier in carrier.vlans.items():
            fitting = (one for one in interfaces if one.mac_address is None and fnmatchcase(name, one.name))
            yield Vlan(name, identifier, number, next(fitting, None))


def wired(interfaces: Sequence[Interface]) -> list[tuple[int, Interface]]:
    """Give the entries about devices, with their places: all but those that name a tagged network."""
    made = {name for one in interfaces for name in one.vlans}
    return [(number, one) for number, one in enumerate(interfaces) if one.name not in made]


def asks(dhcp: Dhcp, family: Dhcp) -> bool:
    """Say whether addresses of one family are asked for."""
    return dhcp in (Dhcp.BOTH, family)


def is_ipv6(address: str) -> bool:
    """Say which family an address or network is of."""
    return ":" in address


def target(route: Route) -> str:
    """Give the network that a route leads to, with its prefix."""
    everything = "::/0" if is_ipv6(route.gateway) else "0.0.0.0/0"
    return str(ipaddress.ip_network(route.destination or everything))


def section(name: str, lines: Sequence[tuple[str, str]]) -> str:
    """Give a section of systemd's or NetworkManager's files.

    Lines without a value are left out, and so is an empty section.
    """
    kept = [f"{key}={value}\n" for key, value in lines if value]
    return f"[{name}]\n{''.join(kept)}\n" if kept else ""
