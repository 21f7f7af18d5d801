"""Rules that span fields of what a document says about the running system."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING

from image_composer.spec.accounts import Sudo
from image_composer.spec.disk import Filesystem, PartitionType
from image_composer.spec.files import File, Tree
from image_composer.spec.image import ImageSpec
from image_composer.spec.network import Dhcp, NetworkBackend
from image_composer.spec.problems import Finding
from image_composer.spec.scripts import Script
from image_composer.spec.software import Sources
from image_composer.spec.system import SelinuxMode

if TYPE_CHECKING:
    from image_composer.manifest import Manifest

INSTALL = re.compile(r"^[ \t]*\[Install\]", re.MULTILINE)
"""Section of a unit that says what starts it."""

ACCOUNTS = frozenset({"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"})
OURS = frozenset({"/etc/fstab", "/etc/hostname", "/etc/hosts", "/etc/machine-id"}) | ACCOUNTS
"""Files that other parts of a document are about, or that no image may bring."""

VOLATILE = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp")  # noqa: S108 - folders of the image
"""Folders whose content the running system makes itself."""

HOST_KEYS = "/etc/ssh/ssh_host_"
"""How the names of SSH's host keys begin, which no image holds."""


def accounts(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with users and groups."""
    yield from once("groups", "name", (group.name for group in spec.groups))
    yield from once("groups", "gid", (group.gid for group in spec.groups if group.gid is not None))
    for number, user in enumerate(spec.users):
        if user.sudo_commands and user.sudo is Sudo.NONE:
            yield f"users[{number}].sudoCommands", "are without use: sudo is 'none'"
        if user.expires is not None and not _is_day(user.expires):
            yield f"users[{number}].expires", f"{user.expires} is no day of the calendar"
        if user.name == "root" and user.expires is not None:
            yield f"users[{number}].expires", "root can't expire: nobody could repair the machine"


def files(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with files and folders."""
    yield from once("files", "path", (file.path for file in spec.files))
    yield from once("folders", "path", (folder.path for folder in spec.folders))
    for number, file in enumerate(spec.files):
        path = f"files[{number}]"
        yield from place_problems(f"{path}.path", file.path)
        yield from _one_source(path, file)
        if file.template and file.content is None:
            yield f"{path}.template", "is without use: only content that stands in the document is a template"
        if file.link is not None and file.mode is not None:
            yield f"{path}.mode", "is without use: a link has none of its own"
        if file.link is not None and (file.owner, file.group) != ("root", "root"):
            yield f"{path}.owner", "is without use: a link belongs to root"
    for number, folder in enumerate(spec.folders):
        yield from place_problems(f"folders[{number}].path", folder.path)
    yield from once("trees", "name", (tree.name for tree in spec.trees))
    for number, tree in enumerate(spec.trees):
        if tree.path != "/":
            yield from place_problems(f"trees[{number}].path", tree.path)
        yield from _one_source(f"trees[{number}]", tree)
    yield from _in_the_way(spec)


def _in_the_way(spec: ImageSpec) -> Iterator[Finding]:
    """See that no entry lies below a file, or is a file and a folder."""
    there = {file.path for file in spec.files}
    places = [(f"files[{number}].path", file.path) for number, file in enumerate(spec.files)]
    places += [(f"folders[{number}].path", folder.path) for number, folder in enumerate(spec.folders)]
    places += [(f"trees[{number}].path", tree.path) for number, tree in enumerate(spec.trees)]
    for path, place in places:
        above = next((one for one in folders_above(place) if one in there), None)
        if above is not None:
            yield path, f"lies below {above}, which is no folder but one of the files"
        if path.startswith(("folders", "trees")) and place in there:
            yield path, f"{place} is one of the files, too"


def hidden_files(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    """Say what would lie below the EFI system partition: what is there comes from the composer alone."""
    points = esp_mount_points(spec, manifest)
    places = [(f"files[{number}]", file.path) for number, file in enumerate(spec.files)]
    places += [(f"folders[{number}]", folder.path) for number, folder in enumerate(spec.folders)]
    places += [(f"artifacts[{number}]", artifact.path) for number, artifact in enumerate(spec.artifacts)]
    places += [(f"trees[{number}]", tree.path) for number, tree in enumerate(spec.trees)]
    for path, place in places:
        if points & {place, *folders_above(place)}:
            yield f"{path}.path", "lies on the EFI system partition, which the composer alone writes to"


def esp_mount_points(spec: ImageSpec, manifest: Manifest) -> frozenset[str | None]:
    """Give where the EFI system partition will be mounted."""
    partitions = spec.disk.partitions or manifest.partitions
    return frozenset(one.mount_point for one in partitions if one.type is PartitionType.ESP)


def folders_above(path: str) -> Iterator[str]:
    """Give the folders that a path lies in, but for the root."""
    names = path.split("/")[1:-1]
    yield from ("/" + "/".join(names[: count + 1]) for count in range(len(names)))


def software(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with what the running system can install, and with large files."""
    if spec.package_manager.sources is Sources.DOCUMENT and not spec.repositories:
        yield "packageManager.sources", "is 'document', but the document names no repositories"
    if spec.package_manager.remove and spec.package_manager.holds:
        yield "packageManager.holds", "is without use: the package manager is removed"
    yield from once("artifacts", "path", (artifact.path for artifact in spec.artifacts))
    taken = {file.path for file in spec.files}
    for number, artifact in enumerate(spec.artifacts):
        yield from place_problems(f"artifacts[{number}].path", artifact.path)
        if artifact.path in taken:
            yield f"artifacts[{number}].path", "is one of the files, too"


def scripts(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with scripts."""
    yield from once("scripts", "name", (script.name for script in spec.scripts))
    for number, script in enumerate(spec.scripts):
        yield from _one_source(f"scripts[{number}]", script)


def units(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with units."""
    wanted = spec.systemd
    yield from once("systemd.units", "name", (unit.name for unit in wanted.units))
    names = [f"{drop_in.unit}.d/{drop_in.name}" for drop_in in wanted.drop_ins]
    yield from once("systemd.dropIns", "unit and name", names)
    enabled = {*wanted.enable, *(unit.name for unit in wanted.units if unit.enable)}
    for field, listed in (("disable", wanted.disable), ("mask", wanted.mask)):
        for number, name in enumerate(listed):
            if name in enabled:
                yield f"systemd.{field}[{number}]", f"{name} is enabled, too"
    for number, unit in enumerate(wanted.units):
        if unit.name in wanted.mask:
            yield f"systemd.units[{number}].name", "is masked, too"
        if unit.enable and not INSTALL.search(unit.content):
            yield f"systemd.units[{number}].enable", "has no effect: the unit has no section [Install]"
    if wanted.default_target is not None and not wanted.default_target.endswith(".target"):
        yield "systemd.defaultTarget", "must be a target"


def selinux(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with SELinux: where labels can't be written."""
    if spec.selinux is None or spec.selinux.mode is SelinuxMode.DISABLED:
        return
    for number, partition in enumerate(spec.disk.partitions):
        if partition.made_at_first_boot and spec.selinux.mode is SelinuxMode.ENFORCING:
            yield (
                f"disk.partitions[{number}]",
                "is made at the first boot, without labels that SELinux would let through",
            )
        if partition.filesystem in (Filesystem.SQUASHFS, Filesystem.EROFS):
            yield f"disk.partitions[{number}].filesystem", "can't be labelled for SELinux; ext4 can"


def kernel_modules(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with kernel modules."""
    blacklist = {name.replace("-", "_") for name in spec.kernel.modules.blacklist}
    for number, name in enumerate(spec.kernel.modules.load):
        if name.replace("-", "_") in blacklist:
            yield f"kernel.modules.load[{number}]", f"{name} is blacklisted, too"


def rule_files(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with rules about devices."""
    yield from once("udevRules", "name", (rules.name for rules in spec.udev_rules))


def network(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with the network."""
    names = [(one.name, one.mac_address) for one in spec.network.interfaces]
    for number, one in enumerate(spec.network.interfaces):
        path = f"network.interfaces[{number}]"
        if names.count((one.name, one.mac_address)) > 1:
            yield f"{path}.name", f"{one.name} is there twice"
        for route_number, route in enumerate(one.routes):
            if route.destination is not None and (":" in route.destination) != (":" in route.gateway):
                yield f"{path}.routes[{route_number}].gateway", "is of another family than the destination"
    yield from once("network.interfaces", "vlans", (name for one in spec.network.interfaces for name in one.vlans))
    if spec.network.backend is NetworkBackend.NETWORKMANAGER:
        yield from _network_manager(spec)


def _network_manager(spec: ImageSpec) -> Iterator[Finding]:
    """Say what NetworkManager can't be told of interfaces."""
    for number, one in enumerate(spec.network.interfaces):
        path = f"network.interfaces[{number}]"
        if one.name == "lo":
            yield f"{path}.name", "is the loopback interface, which NetworkManager sets up by itself"
        if not one.required:
            yield f"{path}.required", "can't be false: NetworkManager waits for whatever it brings up"
        if one.dhcp in (Dhcp.BOTH, Dhcp.IPV4) or any(":" not in address for address in one.addresses):
            continue
        unused = [(f"dns[{place}]", server) for place, server in enumerate(one.dns)]
        unused += [(f"routes[{place}].gateway", route.gateway) for place, route in enumerate(one.routes)]
        for field, address in unused:
            if ":" not in address:
                yield f"{path}.{field}", "is an IPv4 address, but the interface has none of its own"


def certificates(spec: ImageSpec) -> Iterator[Finding]:
    """Say what is wrong with certificates."""
    for name, text in spec.trust.certificates.items():
        path = f"trust.certificates.{name}"
        if "PRIVATE KEY" in text:
            yield path, "holds a private key; give certificates only"
        elif not are_certificates(text):
            yield path, "must be a certificate in PEM, between BEGIN CERTIFICATE and END CERTIFICATE"
        elif text.count("-----BEGIN CERTIFICATE-----") != 1:
            yield path, "holds several certificates; give each a name of its own"


def are_certificates(text: str) -> bool:
    """Say whether a text is certificates in PEM."""
    import ssl  # noqa: PLC0415 - takes a while to load, and few documents have certificates

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError, TypeError):  # the last for what is not ASCII
        return False
    return True


def _one_source(path: str, item: File | Script | Tree) -> Iterator[Finding]:
    """See that content comes from one place, and downloads with their digest."""
    names: dict[str, object] = {"url": item.url, "configMapRef": item.config_map_ref}
    names |= {"folder": item.folder} if isinstance(item, Tree) else {"content": item.content}
    if isinstance(item, File):
        names |= {"contentBase64": item.content_base64, "secretRef": item.secret_ref, "link": item.link}
    given = [name for name, value in names.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(sorted(given)) or "nothing"
        yield path, f"must have exactly one of {', '.join(sorted(names))}, not {found}"
    if item.url is not None and item.sha256 is None:
        yield f"{path}.sha256", "is missing: what is downloaded counts only with its digest"
    if item.sha256 is not None and item.url is None:
        yield f"{path}.sha256", "is without use: nothing is downloaded"


def place_problems(path: str, place: str) -> Iterator[Finding]:
    """Say what is wrong with a place in the image that something comes to."""
    if place == "/":
        yield path, "is the root itself"
    if place in OURS:
        yield path, "is written by the composer from other parts of the document"
    if place.startswith(HOST_KEYS):
        yield path, "is a host key, which every machine makes for itself"
    for top in {place, *folders_above(place)} & {*VOLATILE}:
        yield path, f"lies below {top}, which the running system makes anew; see tmpfiles"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def once(path: str, field: str, values: Iterable[object]) -> Iterator[Finding]:
    """Say which of some values are there several times."""
    for value, count in Counter(values).items():
        if count > 1:
            yield path, f"{field} {value!r} is there {count} times"
