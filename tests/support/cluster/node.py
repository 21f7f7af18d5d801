"""A node of the cluster: mount, network, process and host name namespaces with a first process.

Everything in it ends with that process: killing it leaves no process, mount or network interface behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.run import Completed, Runner

from . import cgroups, forwarding
from .place import NODE, Place
from .processes import ClusterError, Daemon, eventually

SETUP = Path(__file__).with_name("node.sh")
NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")


@dataclass(frozen=True)
class Node:
    """A running node."""

    folder: Path
    place: Place
    init: int
    """Its first process, as this machine counts."""
    born: str
    """When that process started: another one may get its number."""

    @classmethod
    def start(cls, folder: Path, init: Path, place: Place) -> Node:
        """Start a node with nothing running in it.

        Args:
            folder: for all that it keeps.
            init: a program that waits and collects orphans.
            place: where it is to be.
        """
        if place.taken:
            raise ClusterError(f"there is a node {place.index} on this machine already")
        (folder / "log").mkdir(parents=True, exist_ok=True)
        _sweep(place)
        with (folder / "log/init.log").open("ab") as log:
            started = Runner().start(
                ["unshare", *NAMESPACES, "--fork", "--mount-proc", "--propagation", "private", "--kill-child", init],
                stdout=log,
            )
        first = eventually(lambda: _child(started.pid, init), "the node's first process", seconds=20, every=0.02)
        node = cls(folder, place, first, _born(first))
        _state(folder).write_text(json.dumps({"index": place.index, "init": first, "born": node.born}))
        try:
            node._connect()
            cgroups.make(place.cgroup)
            node.run([SETUP, folder, NODE, f"{place.node_ip}/30", place.host_ip])
        except BaseException:
            node.stop()
            raise
        return node

    @classmethod
    def of(cls, folder: Path) -> Node | None:
        """Give the node that a folder belongs to, running or not; None when it was stopped, or never started."""
        if not _state(folder).exists():
            return None
        state = json.loads(_state(folder).read_text())
        return cls(folder, Place(state["index"]), state["init"], state["born"])

    @property
    def running(self) -> bool:
        return bool(self.born) and _born(self.init) == self.born

    def inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """Give a command line that runs another one inside. Its working directory becomes the root folder."""
        return ["nsenter", "--target", str(self.init), *NAMESPACES, "--", *argv]

    def run(self, argv: Sequence[str | Path], *, check: bool = True) -> Completed:
        return Runner().run(self.inside(argv), check=check)

    def daemon(self, argv: Sequence[str | Path]) -> Daemon:
        """Start a program inside that runs as long as the node."""
        name = Path(argv[0]).name
        return Daemon.start(name, self.inside(argv), self.folder / "log" / f"{name}.log")

    def stop(self) -> None:
        """End it and all in it, and put this machine's settings back."""
        if self.running:
            os.kill(self.init, signal.SIGKILL)
        eventually(lambda: not self.running and not self.place.taken, "the end of the node", seconds=30, every=0.02)
        _sweep(self.place)
        _state(self.folder).unlink(missing_ok=True)

    def _connect(self) -> None:
        """Lay a cable between this machine and the node."""
        place, mtu = self.place, str(_mtu())
        ends = ["type", "veth", "peer", "name", "eth0", "mtu", mtu, "netns", str(self.init)]
        for words in (
            ["link", "add", place.link, "mtu", mtu, *ends],
            ["address", "add", f"{place.host_ip}/30", "dev", place.link],
            ["link", "set", place.link, "up"],
            ["route", "add", place.pods, "via", place.node_ip],
        ):
            Runner().run(["ip", *words])
        forwarding.open_way(place)


def _sweep(place: Place) -> None:
    """Remove what no namespace takes with it; there may be something left of a node that nobody stopped."""
    forwarding.close_way(place)
    cgroups.remove(place.cgroup)


def _state(folder: Path) -> Path:
    return folder / "node.json"


def _child(parent: int, program: Path) -> int | None:
    """Give the child of a process, once it runs a program."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _stat(int(entry.name))[1:2] == [str(parent)]:
            with contextlib.suppress(OSError):
                if (entry / "exe").samefile(program):
                    return int(entry.name)
    return None


def _born(process: int) -> str:
    """Give the start time of a process in clock ticks since boot; nothing when it is gone or a zombie."""
    stat = _stat(process)
    return stat[19] if stat and stat[0] not in ("Z", "X") else ""


def _stat(process: int) -> list[str]:
    """Give the fields of /proc/PID/stat from the third on, the state; see proc(5)."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _mtu() -> int:
    """Give the packet size of the interface that leads to the network: larger packets would be lost there."""
    routes = json.loads(Runner().run(["ip", "-json", "route", "show", "default"]).stdout or b"[]")
    with contextlib.suppress(OSError, IndexError, KeyError):
        return int(Path("/sys/class/net", routes[0]["dev"], "mtu").read_text())
    return 1500
