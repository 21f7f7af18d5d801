"""How a node's packets get to the network and back: this machine forwards and translates them, as long as it must."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from image_composer.errors import ToolError
from image_composer.run import Runner

from .place import Place

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")

REMEMBERED = Path("/run/image-composer-nodes")
"""Holds what `FORWARD` was before the first node came; empty when there is no node."""


def open_way(place: Place) -> None:
    """Let the node reach what this machine reaches."""
    with _alone() as was:
        if not was.read_text():
            was.write_text(FORWARD.read_text())
        FORWARD.write_text("1")
    for rule in _rules(place):
        Runner().run(["iptables", "-w", "-I", *rule])


def close_way(place: Place) -> None:
    """Undo what `open_way` did; nothing if that is done already."""
    for rule in _rules(place):
        with contextlib.suppress(ToolError):  # no such rule: interrupted before it came to that
            Runner().run(["iptables", "-w", "-D", *rule])
    with _alone() as was:
        others = any(Path("/sys/class/net").glob("ic-node*"))
        if not others and was.read_text():
            FORWARD.write_text(was.read_text())
            was.write_text("")


def _rules(place: Place) -> list[list[str]]:
    # FORWARD, because Docker and firewalls set its policy to DROP.
    return [
        ["POSTROUTING", "-t", "nat", "-s", place.network, "!", "-d", place.network, "-j", "MASQUERADE"],
        ["FORWARD", "-i", place.link, "-j", "ACCEPT"],
        ["FORWARD", "-o", place.link, "-j", "ACCEPT"],
    ]


@contextlib.contextmanager
def _alone() -> Iterator[Path]:
    """Keep other nodes' starts and stops from looking at the setting at the same moment."""
    with REMEMBERED.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield REMEMBERED
