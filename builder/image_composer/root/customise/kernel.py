"""Kernel modules and settings, device rules, files made at start.

Formats: modules-load.d(5), modprobe.d(5), sysctl.d(5), udev(7), tmpfiles.d(5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes, whole_lines
from image_composer.root.operations import Operation
from image_composer.spec.system import KernelModules, Rules

MODULE_OPTIONS = "/etc/modprobe.d/zz-image.conf"
"""After the distribution's systemd.conf, since the last of several options counts. It is put into the initramfs as
well, where the first modules are loaded."""

SYSCTL = "/etc/sysctl.d/99-zz-image.conf"
"""After the distributions' 99-... files: the last of several values counts."""


def module_changes(wanted: KernelModules) -> Changes:
    """Say what to write for kernel modules."""
    found: list[Operation] = []
    if wanted.load:
        found.append(operations.write(f"/etc/modules-load.d/{OWN_NAME}.conf", _lines(wanted.load)))
    lines = [f"options {name} {options}" for name, options in wanted.options.items()]
    lines += [f"blacklist {name}" for name in wanted.blacklist]
    if lines:
        found.append(operations.write(MODULE_OPTIONS, _lines(lines)))
    return Changes(tuple(found))


def sysctl_changes(settings: Mapping[str, str]) -> Changes:
    """Say what to write for kernel settings."""
    if not settings:
        return Changes()
    text = _lines([f"{name} = {value}" for name, value in settings.items()])
    return Changes((operations.write(SYSCTL, text),))


def tmpfiles_changes(lines: Sequence[str]) -> Changes:
    """Say what to write for files and folders that are made, changed or cleared at every start."""
    return Changes((operations.write(f"/etc/tmpfiles.d/{OWN_NAME}.conf", _lines(lines)),) if lines else ())


def udev_changes(rules: Sequence[Rules]) -> Changes:
    """Say what to write for rules about devices."""
    place = "/etc/udev/rules.d"
    return Changes(tuple(operations.write(f"{place}/{one.name}.rules", whole_lines(one.content)) for one in rules))


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
