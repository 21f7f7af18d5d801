"""`python -m support.cluster up|down|status|tools`: what `make cluster` and `make cluster-down` run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from . import tools
from .choose import choose, end_kind
from .local import LocalCluster
from .place import free_index
from .processes import ClusterError
from .warden import owner_is_gone

FOLDER = tools.PROJECT / ".cache/cluster/local"


def main() -> int:
    """Do what the command line says; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m support.cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "tools", "watch"])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the cluster keeps its things")
    parser.add_argument("--image", type=Path, action="append", default=[], help="an image archive to import")
    given = parser.parse_args()
    try:
        return {"up": up, "down": down, "status": status, "tools": build, "watch": watch}[given.command](given)
    except (ClusterError, tools.ToolsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def up(given: argparse.Namespace) -> int:
    """Bring up a cluster that stays, or find the one that is up, and say how to reach it."""
    started = time.monotonic()
    cluster = LocalCluster.of(given.folder)
    if cluster and cluster.node.running:
        for image in given.image:
            cluster.load_image(image)
    else:
        kept = given.folder.parent
        kept.mkdir(parents=True, exist_ok=True)
        other = choose(os.environ, kept)
        if other:
            for image in given.image:
                other.load_image(image)
            _say(f"export KUBECONFIG={other.kubeconfig}")
            return 0
        lacking = tools.missing_for_cluster()
        if lacking:
            raise ClusterError(lacking)
        programs = tools.build(*tools.CLUSTER, said=None)
        if cluster:
            cluster.stop(wipe=False)  # the machine was restarted, or the node killed
        cluster = LocalCluster.start(
            given.folder, programs, name="image-composer", index=free_index(), images=given.image, stays=True
        )
        sys.stderr.write(f"==> the cluster is up ({time.monotonic() - started:.0f} s)\n")
    _say(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def down(given: argparse.Namespace) -> int:
    """End the cluster that `up` brought up, and remove what it kept."""
    end_kind(given.folder.parent)
    cluster = LocalCluster.of(given.folder)
    if cluster:
        cluster.stop()
    return 0


def status(given: argparse.Namespace) -> int:
    """Say whether the cluster is up."""
    cluster = LocalCluster.of(given.folder)
    if not (cluster and cluster.node.running):
        _say("the local cluster is down")
        return 1
    _say(cluster.kubectl("get", "nodes,pods", "--all-namespaces", "-o", "wide"))
    return 0


def build(given: argparse.Namespace) -> int:
    """Build the programs, and say where they are."""
    _say(str(tools.build(*tools.ALL, said=None)))
    return 0


def watch(given: argparse.Namespace) -> int:
    """Be the warden of a cluster: end it when its owner is gone."""
    if owner_is_gone():
        cluster = LocalCluster.of(given.folder)
        if cluster:
            cluster.stop()
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
