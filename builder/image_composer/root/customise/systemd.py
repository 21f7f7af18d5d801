"""Units, drop-ins, presets and the default target: systemd.unit(5), systemd.preset(5)."""

from __future__ import annotations

from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes
from image_composer.spec.system import Systemd

UNITS = "/etc/systemd/system"


def systemd_changes(wanted: Systemd) -> Changes:
    """Say what to do for what systemd is to start."""
    written = [
        *(operations.write(f"{UNITS}/{unit.name}", _whole_lines(unit.content)) for unit in wanted.units),
        *(
            operations.write(f"{UNITS}/{drop_in.unit}.d/{drop_in.name}.conf", _whole_lines(drop_in.content))
            for drop_in in wanted.drop_ins
        ),
    ]
    if wanted.presets:
        path = f"/etc/systemd/system-preset/{OWN_NAME}.preset"
        written.append(operations.write(path, "".join(f"{line}\n" for line in wanted.presets)))
    if wanted.default_target is not None:
        written.append(operations.link(f"{UNITS}/default.target", f"/usr/lib/systemd/system/{wanted.default_target}"))
    return Changes(
        operations=tuple(written),
        enable=(*(unit.name for unit in wanted.units if unit.enable), *wanted.enable),
        disable=tuple(wanted.disable),
        mask=tuple(wanted.mask),
    )


def _whole_lines(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"
