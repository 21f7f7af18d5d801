"""The network: interfaces by their backend, resolved.conf(5), timesyncd.conf(5), nft(8)."""

from __future__ import annotations

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes, Root, whole_lines
from image_composer.root.customise.interfaces import section
from image_composer.root.customise.netplan import plan
from image_composer.root.customise.networkd import networks
from image_composer.root.customise.networkmanager import connections
from image_composer.root.operations import Operation
from image_composer.spec.network import NetworkBackend, NetworkSettings, Proxies

NETWORKD, NETWORK_MANAGER = "systemd-networkd.service", "NetworkManager.service"
SERVICES = {f"/usr/lib/systemd/system/{name}": name for name in (NETWORKD, NETWORK_MANAGER)}
"""Units of the services that bring interfaces up, by their files."""

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
    found = _interfaces(wanted)
    service = NETWORK_MANAGER if wanted.backend is NetworkBackend.NETWORKMANAGER else NETWORKD
    # A document that says nothing about interfaces leaves them to whatever its packages bring.
    is_told = bool(wanted.interfaces) or wanted.backend is not NetworkBackend.NETWORKD
    enable = [service] if is_told else []
    others = [name for path, name in SERVICES.items() if path in root.present and name != service]
    if wanted.dns or wanted.domains:
        lines = [("DNS", " ".join(wanted.dns)), ("Domains", " ".join(wanted.domains))]
        found.append(operations.write(f"/etc/systemd/resolved.conf.d/{OWN_NAME}.conf", section("Resolve", lines)))
    if wanted.ntp_servers:
        found.append(_time_servers(wanted.ntp_servers, root))
    found += _proxies(wanted.proxies)
    if wanted.firewall.nftables is not None:
        place = next((path for path in NFTABLES if path in root.present), NFTABLES[-1])
        found.append(operations.write(place, whole_lines(wanted.firewall.nftables), mode=0o600))
        enable.append("nftables.service")
    return Changes(tuple(found), enable=tuple(enable), disable=tuple(others if is_told else ()))


def _interfaces(wanted: NetworkSettings) -> list[Operation]:
    """Give the files of all interfaces, in the words of what brings them up."""
    if wanted.backend is NetworkBackend.NETWORKMANAGER:
        return [*connections(wanted.interfaces)]
    if wanted.backend is NetworkBackend.NETPLAN:
        return [plan(wanted.interfaces)]
    return [*networks(wanted.interfaces)]


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
    text = section("Time", [("NTP", " ".join(servers))])
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
