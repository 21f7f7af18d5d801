"""The programs that the test cluster is made of: which are built, where they are, and what is missing on a machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from image_composer.run import BASE_ENVIRONMENT

PROJECT = Path(__file__).parents[3]
BUILD = PROJECT / "tests/cluster/tools/build.sh"

CLUSTER = ("pause", "kubernetes")
"""Groups of programs that a cluster needs."""

ALL = (*CLUSTER, "versitygw", "helm")
"""Groups that the tests need."""

HOST = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Programs of the machine that a cluster needs, with their Debian packages."""


class ToolsError(Exception):
    """The programs could not be built."""


def build(*groups: str, said: int | None = subprocess.PIPE) -> Path:
    """Give the folder of the programs of these groups; builds what is missing, or waits for who builds it already.

    Args:
        groups: folders in tests/cluster/tools.
        said: where progress is told, as for `subprocess.run`; None for our own standard error.

    Raises:
        ToolsError: they could not be built.
    """
    done = subprocess.run([BUILD, *groups], stdout=subprocess.PIPE, stderr=said, text=True, check=False)
    if done.returncode:
        raise ToolsError(done.stderr or "the programs of the test cluster could not be built")
    return Path(done.stdout.strip())


def missing() -> str | None:
    """Say why there can be no local cluster on this machine, and what to do about it; None when there can be one."""
    if os.geteuid() != 0:
        return "the local cluster needs root: run the tests as root, or name a cluster (docs/development.md)"
    if shutil.which("go") is None:
        return "the programs of the local cluster are built with Go 1.26 or newer, which is not on PATH"
    lacking = {package for program, package in HOST.items() if not shutil.which(program, path=BASE_ENVIRONMENT["PATH"])}
    if lacking:
        return f"the local cluster needs packages of this machine: apt-get install {' '.join(sorted(lacking))}"
    return None
