"""Units, drop-ins, presets and the default target: systemd.unit(5), systemd.preset(5)."""

from __future__ import annotations

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root, whole_lines
from image_composer.spec.system import Systemd

UNITS, PACKAGED_UNITS = "/etc/systemd/system", "/usr/lib/systemd/system"

PRESETS = "/etc/systemd/system-preset/10-image.preset"
"""Before the distribution's: of several lines about a unit the first counts."""


def systemd_changes(wanted: Systemd, root: Root) -> Changes:
    """Say what to do for what systemd is to start.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_TARGET.
    """
    written = [
        *(operations.write(f"{UNITS}/{unit.name}", whole_lines(unit.content)) for unit in wanted.units),
        *(
            operations.write(f"{UNITS}/{drop_in.unit}.d/{drop_in.name}.conf", whole_lines(drop_in.content))
            for drop_in in wanted.drop_ins
        ),
    ]
    if wanted.presets:
        written.append(operations.write(PRESETS, "".join(f"{line}\n" for line in wanted.presets)))
    if wanted.default_target is not None:
        place = target_place(wanted, wanted.default_target, root)
        written.append(operations.link(f"{UNITS}/default.target", place))
    return Changes(
        operations=tuple(written),
        enable=(*(unit.name for unit in wanted.units if unit.enable), *wanted.enable),
        disable=tuple(wanted.disable),
        mask=tuple(wanted.mask),
    )


def target_place(wanted: Systemd, target: str, root: Root) -> str:
    """Give the file of a target: the document's own, or a package's.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_TARGET.
    """
    if any(unit.name == target for unit in wanted.units):
        return f"{UNITS}/{target}"
    place = f"{PACKAGED_UNITS}/{target}"
    if place not in root.present:
        raise AssemblyError(
            "ASSEMBLE_NO_SUCH_TARGET",
            f"the image has no {target} to start",
            hint="it comes with a package, or stands in systemd.units",
        )
    return place
