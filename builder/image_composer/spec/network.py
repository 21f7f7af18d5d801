"""The network of the running system."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from image_composer.spec.base import Flag, HostName, Number, SpecModel
from image_composer.spec.text import Text


def check_address(text: str) -> str:
    """Give an IP address back.

    Raises:
        ValueError: with the sentence for the user.
    """
    return _read_by(ipaddress.ip_address, text, "an IP address")


def check_interface_address(text: str) -> str:
    """Give an address with its prefix length back.

    Raises:
        ValueError: with the sentence for the user.
    """
    _read_by(ipaddress.ip_interface, text, "an address with its prefix, such as 192.0.2.10/24")
    if "/" not in text:
        raise ValueError(f"{text!r} lacks the length of its prefix, as in 192.0.2.10/24")
    return text


def check_network(text: str) -> str:
    """Give a network back.

    Raises:
        ValueError: with the sentence for the user.
    """
    return _read_by(ipaddress.ip_network, text, "a network such as 192.0.2.0/24")


def _read_by(read: Callable[[str], object], text: str, what: str) -> str:
    try:
        read(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {what}") from None
    return text


_ADDRESS = r"^[0-9A-Fa-f:.]{2,45}$"
_PREFIXED = r"^[0-9A-Fa-f:.]{2,45}(/(0|[1-9][0-9]{0,2}))?$"

Address = Annotated[str, StringConstraints(pattern=_ADDRESS, max_length=45), AfterValidator(check_address)]
"""An IP address."""

InterfaceAddress = Annotated[
    str, StringConstraints(pattern=_PREFIXED, max_length=49), AfterValidator(check_interface_address)
]
"""An IP address with the length of its prefix."""

Network = Annotated[str, StringConstraints(pattern=_PREFIXED, max_length=49), AfterValidator(check_network)]
"""A network."""

InterfaceMatch = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*?_.:-]{1,15}$", max_length=15)]
"""An interface's name; `*` and `?` match as in a shell."""

InterfaceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,14}$", max_length=15)]
"""The name of one interface."""

MacAddress = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", max_length=17)]
"""A hardware address in lower case."""

Domain = Annotated[str, StringConstraints(pattern=r"^(~?([a-z0-9-]{1,63}[.])*[a-z0-9-]{1,63}|~[.])$", max_length=255)]
"""A domain; with a tilde before it, one that is asked of these servers only."""

ProxyUrl = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9._:\[\]-]{1,255}/?$", max_length=264)]
"""Address of a proxy, without a password: it would be readable by everybody on the machine."""


TimeServer = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,254}$", max_length=255)]
"""Name or address of a time server."""


class Dhcp(StrEnum):
    """What an interface asks a server for."""

    NONE = "no"
    BOTH = "yes"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Route(SpecModel):
    """Where packets for other networks go."""

    destination: Network | None = None
    """Network; everything when absent."""

    gateway: Address
    """Address that they are sent to."""

    metric: Annotated[Number, Field(ge=0, le=4294967295)] | None = None
    """Lower is preferred."""


class Interface(SpecModel):
    """An interface, or all that a name matches. Those of the document come before the distribution's DHCP for all."""

    name: InterfaceMatch
    """Its name, for example `enp1s0` or `en*`."""

    mac_address: MacAddress | None = None
    """Only the one with this hardware address."""

    dhcp: Dhcp = Dhcp.NONE
    """Whether it asks for addresses."""

    addresses: list[InterfaceAddress] = Field(default_factory=list, max_length=32)
    """Addresses of its own."""

    routes: list[Route] = Field(default_factory=list, max_length=64)
    """Routes over it."""

    dns: list[Address] = Field(default_factory=list, max_length=8)
    """Name servers reached over it."""

    domains: list[Domain] = Field(default_factory=list, max_length=16)
    """Domains that names are looked for in."""

    mtu: Annotated[Number, Field(ge=576, le=65535)] | None = None
    """Largest packet, in bytes."""

    vlans: Annotated[dict[InterfaceName, Annotated[Number, Field(ge=1, le=4094)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """Tagged networks on it: the number by the name of the interface that is made for it."""

    required: Flag = True
    """Whether the machine waits for it when it waits for the network."""


class HostEntry(SpecModel):
    """A line of /etc/hosts."""

    address: Address
    """IP address."""

    names: list[HostName] = Field(min_length=1, max_length=16)
    """Names of it, the canonical one first."""


class Proxies(SpecModel):
    """Proxies for programs that go by the environment (/etc/environment) and for systemd's services."""

    http_proxy: ProxyUrl | None = None
    """For `http` URLs."""

    https_proxy: ProxyUrl | None = None
    """For `https` URLs."""

    no_proxy: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.,:*/_-]{1,1000}$", max_length=1000)] | None = None
    """Hosts, domains and networks that are reached directly, with commas."""


class Firewall(SpecModel):
    """The packet filter."""

    nftables: Text | None = None
    """Rules in nft(8)'s language, loaded at every start by nftables.service; brings the package."""


class NetworkBackend(StrEnum):
    """What brings interfaces up."""

    NETWORKD = "networkd"
    NETWORKMANAGER = "networkmanager"
    NETPLAN = "netplan"
    """It writes systemd-networkd's files at every start."""


class NetworkSettings(SpecModel):
    """The network of the running system. Without interfaces, all wired ones ask for addresses by DHCP."""

    backend: NetworkBackend = NetworkBackend.NETWORKD
    """What brings interfaces up; brings its packages. What else could do so is not started when `interfaces` are given
    or this is no longer `networkd`, unless `systemd.enable` names it."""

    interfaces: list[Interface] = Field(default_factory=list, max_length=64)
    """Interfaces, in the order in which they are tried: the first entry that fits counts."""

    dns: list[Address] = Field(default_factory=list, max_length=8)
    """Name servers for everything (systemd-resolved)."""

    domains: list[Domain] = Field(default_factory=list, max_length=16)
    """Domains that names are looked for in."""

    hosts: list[HostEntry] = Field(default_factory=list, max_length=256)
    """Names that the machine knows by itself."""

    ntp_servers: list[TimeServer] = Field(default_factory=list, max_length=16)
    """Time servers: instead of the distribution's for systemd-timesyncd, beside them for chrony where that is in the
    image."""

    proxies: Proxies = Field(default_factory=Proxies)
    """Proxies that programs are told of."""

    firewall: Firewall = Field(default_factory=Firewall)
    """Which packets are let in and out."""
