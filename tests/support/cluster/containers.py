"""The container runtime of a node: its configuration, and images without a registry."""

from __future__ import annotations

import json
from pathlib import Path

from .node import Node
from .place import Place
from .processes import Daemon, eventually

PAUSE = "localhost/image-composer-pause:dev"
"""The image that holds a pod's namespaces."""

PLUGINS = Path("/usr/lib/cni")
"""Where Debian puts the network plugins."""


def start_containerd(node: Node) -> Daemon:
    """Start containerd and wait until it answers."""
    plugins, config = node.folder / "cni", node.folder / "containerd.toml"
    plugins.mkdir(exist_ok=True)
    (plugins / "10-pods.conflist").write_text(json.dumps(_network(node.place)))
    config.write_text(_configuration(plugins))
    daemon = node.daemon(["containerd", "--config", config])
    eventually(lambda: _answers(node, daemon), "containerd answers", seconds=60, logs=[daemon.log])
    return daemon


def import_image(node: Node, archive: Path) -> None:
    """Make an image that `docker save` or `write_image` wrote known to the node."""
    node.run(["ctr", "--namespace", "k8s.io", "images", "import", archive.resolve()])


def _answers(node: Node, daemon: Daemon) -> bool:
    daemon.check()
    return node.run(["ctr", "version"], check=False).returncode == 0


def _configuration(plugins: Path) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE no score may be lowered, and every container would fail.
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{plugins}"
"""


def _network(place: Place) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "mtu": int(Path("/sys/class/net", place.link, "mtu").read_text()),
        "ipam": {"type": "host-local", "ranges": [[{"subnet": place.pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}
