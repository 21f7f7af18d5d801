"""Commands to put before another one, that run it with the users and rights of a builder pod's containers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65532

_POWERLESS = ("--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def unprivileged(*needed: Path) -> list[str]:
    """As nobody in particular, who may do nothing special.

    Args:
        needed: folders that it must be able to read, beside the interpreter; on this machine they may lie in a home.
    """
    return [*_opened(needed), "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", *_POWERLESS]


def root_by_name() -> list[str]:
    """As root without any capability: who owns what root owns, and may do nothing special."""
    return ["setpriv", *_POWERLESS]


def _opened(needed: Sequence[Path]) -> list[str]:
    """Let others reach folders in somebody's home, in a mount namespace of the command's own."""
    steps = ["kept=$(mktemp -d)"]
    hidden: dict[Path, list[Path]] = {}
    for path in map(Path, dict.fromkeys([sys.base_prefix, sys.prefix, *map(str, needed)])):
        above = next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 1), None)
        if above is not None:
            hidden.setdefault(above, []).append(path)
    for above, paths in hidden.items():
        for number, path in enumerate(paths):
            steps.append(f'mkdir "$kept/{number}"; mount --bind {shlex.quote(str(path))} "$kept/{number}"')
        steps.append(f"mount -t tmpfs -o mode=0755 none {shlex.quote(str(above))}")
        for number, path in enumerate(paths):
            quoted = shlex.quote(str(path))
            steps.append(f'mkdir -p {quoted}; mount --bind "$kept/{number}" {quoted}')
    return ["unshare", "--mount", "sh", "-ec", "; ".join([*steps, 'exec "$@"']), "sh"]
