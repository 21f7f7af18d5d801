"""A real cluster of one node on this machine, from nothing but programs: no registry, no virtual machine.

The node is in namespaces of its own, so that the cluster can be ended as one. A warden beside it ends it when whoever
started it is gone.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from image_composer.errors import ToolError

from . import components
from .api import Kubectl, is_ready
from .components import Identity
from .containers import import_image, start_containerd
from .images import write_pause
from .node import Node
from .place import NODE, Place
from .processes import Daemon, eventually
from .warden import Warden

API_PORT = 6443
ETCD_PORT = 2379
"""Usual numbers: the node's network is its own."""

START_SECONDS = 180
"""How long a step of starting may take on a busy machine; five seconds are usual."""


@dataclass
class LocalCluster:
    """A running cluster."""

    name: str
    folder: Path
    node: Node
    kubectl: Kubectl
    _daemons: list[Daemon] = field(default_factory=list)
    _warden: Warden | None = None

    @classmethod
    def start(
        cls, folder: Path, tools: Path, *, name: str, index: int, images: Sequence[Path] = (), stays: bool = False
    ) -> LocalCluster:
        """Start a cluster and wait until it runs pods.

        Args:
            folder: for all that it keeps; a cluster stopped with `wipe=False` goes on from there.
            tools: folder of the programs, see `tools.build`.
            name: of the kubeconfig's context.
            index: picks its addresses; clusters of different indexes live side by side. See `free_index`.
            images: archives to import.
            stays: whether it goes on when this process ends.

        Raises:
            ClusterError: a part of it doesn't start; says what its log says.
        """
        folder = folder.resolve()
        (folder / "log").mkdir(parents=True, exist_ok=True)
        (folder / "cluster.json").write_text(json.dumps({"name": name, "tools": str(tools)}))
        warden = None if stays else Warden.over(folder)
        try:
            node = Node.start(folder, (tools / "pause").resolve(), Place(index))
        except BaseException:
            if warden:
                warden.dismiss()
            raise
        cluster = cls(name, folder, node, Kubectl(tools / "kubectl", _kubeconfig(folder)), _warden=warden)
        try:
            cluster._start(tools, images)
        except BaseException:
            cluster.stop(wipe=False)  # the logs say why
            raise
        return cluster

    @classmethod
    def of(cls, folder: Path) -> LocalCluster | None:
        """Give the cluster that another process started in a folder, running or not; None when there is none."""
        node, state = Node.of(folder), folder / "cluster.json"
        if node is None or not state.exists():
            return None
        known = json.loads(state.read_text())
        return cls(known["name"], folder, node, Kubectl(Path(known["tools"], "kubectl"), _kubeconfig(folder)))

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.kubectl.kubeconfig

    @property
    def node_ip(self) -> str:
        return self.node.place.node_ip

    @property
    def host_ip(self) -> str:
        """This machine, as pods see it: where a server for them must listen."""
        return self.node.place.host_ip

    def load_image(self, archive: Path) -> None:
        """Make an image known to the node; the archive is one that `docker save` or `write_image` wrote."""
        import_image(self.node, archive)

    def stop(self, *, wipe: bool = True) -> None:
        """End it, and remove all that it kept unless told otherwise."""
        self.node.stop()
        for daemon in self._daemons:
            daemon.stop()  # they are dead: collects them
        if wipe:
            shutil.rmtree(self.folder)
        if self._warden:
            self._warden.dismiss()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, tools: Path, images: Sequence[Path]) -> None:
        node, place = self.node, self.node.place
        server = f"https://{place.node_ip}:{API_PORT}"
        etcd_data = self.folder / "data/etcd"
        self._daemons.append(node.daemon(components.etcd(etcd_data, port=ETCD_PORT, peer_port=ETCD_PORT + 1)))
        identity = Identity.at(self.folder / "pki", server=server, address=place.node_ip, context=self.name)
        identity.kubeconfig("admin", "/O=system:masters/CN=admin")
        apiserver = node.daemon(
            components.apiserver(tools, identity, etcd_port=ETCD_PORT, address=place.node_ip, port=API_PORT)
        )
        self._daemons += [apiserver, start_containerd(node)]
        with ThreadPoolExecutor(max_workers=1) as beside:
            importing = beside.submit(self._import, tools, images)
            self._wait(lambda: is_ready(server, identity.authority, identity.admin), "the API server is ready")
            for argv in (
                components.controller_manager(tools, identity, port=10257),
                components.scheduler(tools, identity, port=10259),
                components.kubelet(tools, identity, self.folder, place),
                components.proxy(tools, identity, self.folder, place),
            ):
                self._daemons.append(node.daemon(argv))
            self._wait(self._node_ready, "the node is ready")
            # Pods are refused before their namespace has its account.
            self._wait(lambda: bool(self._get("serviceaccount", "default")), "there are service accounts")
            importing.result()

    def _import(self, tools: Path, images: Sequence[Path]) -> None:
        for archive in (write_pause(tools, self.folder / "pause.tar"), *images):
            self.load_image(archive)

    def _node_ready(self) -> bool:
        ready = '{.status.conditions[?(@.type=="Ready")].status}'
        return self._get("node", NODE, "-o", f"jsonpath={ready}") == "True"

    def _get(self, *words: str) -> str:
        return self.kubectl("get", "--ignore-not-found", *words)

    def _wait(self, look: Callable[[], bool], what: str) -> None:
        """Wait for something, but not longer than the cluster's programs run."""

        def checked() -> bool:
            for daemon in self._daemons:
                daemon.check()
            with contextlib.suppress(ToolError):
                return look()
            return False

        eventually(checked, what, seconds=START_SECONDS, every=0.2, logs=[daemon.log for daemon in self._daemons])


def _kubeconfig(folder: Path) -> Path:
    return folder / "pki/admin.kubeconfig"
