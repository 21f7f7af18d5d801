"""Where a node is on this machine: its addresses and names, all made from one number, so that nodes don't collide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NODE = "node1"
"""Name of the only node."""

INDEXES = range(1, 200)


@dataclass(frozen=True)
class Place:
    """Addresses and names of one node."""

    index: int

    @property
    def host_ip(self) -> str:
        """This machine, as the node and its pods see it."""
        return f"10.201.{self.index}.1"

    @property
    def node_ip(self) -> str:
        return f"10.201.{self.index}.2"

    @property
    def network(self) -> str:
        """The two addresses above."""
        return f"10.201.{self.index}.0/30"

    @property
    def pods(self) -> str:
        """Addresses of pods; this machine reaches them, too."""
        return f"10.244.{self.index}.0/24"

    @property
    def link(self) -> str:
        """The network interface on this machine that leads to the node. It goes when the node goes."""
        return f"ic-node{self.index}"

    @property
    def cgroup(self) -> str:
        return f"image-composer-node{self.index}"

    @property
    def taken(self) -> bool:
        """Whether a node is there."""
        return Path("/sys/class/net", self.link).exists()


def free_index(*, first: int = 1) -> int:
    """Give an index where no node is."""
    return next(index for index in INDEXES if index >= first and not Place(index).taken)
