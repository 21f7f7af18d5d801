"""etcd and the API server, on the loopback interface: enough for what is about the API alone, and there in seconds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from . import components
from .api import Kubectl, is_ready
from .components import Identity
from .processes import Daemon, eventually, free_port

ADDRESS = "127.0.0.1"

START_SECONDS = 120
"""How long starting may take on a busy machine; five seconds are usual."""


@dataclass
class ControlPlane:
    """A running control plane. It ends with the thread that started it."""

    folder: Path
    server: str
    kubectl: Kubectl
    _daemons: list[Daemon] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        folder: Path,
        tools: Path,
        *,
        controllers: bool = False,
        name: str = "control-plane",
        apiserver: Sequence[str] = (),
    ) -> ControlPlane:
        """Start a control plane and wait until it is ready.

        Args:
            folder: for all that it keeps.
            tools: folder of the programs, see `tools.build`.
            controllers: whether controller manager and scheduler run, too. Without them a namespace has no service
                account, and nothing that is deleted takes others with it.
            name: of the kubeconfig's context.
            apiserver: further arguments of the API server.
        """
        port = free_port()
        identity = Identity.at(folder / "pki", server=f"https://{ADDRESS}:{port}", address=ADDRESS, context=name)
        kubeconfig = identity.kubeconfig("admin", "/O=system:masters/CN=admin")
        plane = cls(folder, identity.server, Kubectl(tools / "kubectl", kubeconfig))
        try:
            plane._start(tools, identity, port, controllers=controllers, apiserver=apiserver)
        except BaseException:
            plane.stop(wipe=False)
            raise
        return plane

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.kubectl.kubeconfig

    def stop(self, *, wipe: bool = True) -> None:
        """End it, and remove all that it kept unless told otherwise."""
        for daemon in reversed(self._daemons):
            daemon.stop()
        if wipe:
            shutil.rmtree(self.folder)

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(
        self, tools: Path, identity: Identity, port: int, *, controllers: bool, apiserver: Sequence[str]
    ) -> None:
        etcd_port = free_port()
        self._run(components.etcd(self.folder / "etcd", port=etcd_port, peer_port=free_port()))
        self._run(
            components.apiserver(tools, identity, etcd_port=etcd_port, address=ADDRESS, port=port, more=apiserver)
        )

        def ready() -> bool:
            for daemon in self._daemons:
                daemon.check()
            return is_ready(identity.server, identity.authority, identity.admin)

        logs = [daemon.log for daemon in self._daemons]
        eventually(ready, "the API server is ready", seconds=START_SECONDS, logs=logs)
        if controllers:
            self._run(components.controller_manager(tools, identity))
            self._run(components.scheduler(tools, identity))

    def _run(self, argv: components.Argv) -> None:
        name = Path(argv[0]).name
        self._daemons.append(Daemon.start(name, argv, self.folder / "log" / f"{name}.log", bound=True))
