"""The programs that the test cluster is made of: which are built, where they are, and what is missing on a machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from image_composer.errors import ToolError
from image_composer.run import BASE_ENVIRONMENT, Runner

PROJECT = Path(__file__).parents[3]
BUILD = PROJECT / "tests/cluster/tools/build.sh"

GO = (1, 26)
"""The oldest Go that builds all of them, as their go.mod files say."""

GO_NAME = f"Go {GO[0]}.{GO[1]}"

CLUSTER = ("pause", "kubernetes")
"""Groups of programs that a cluster needs."""

ALL = (*CLUSTER, "versitygw", "helm")
"""Groups that the tests need."""

PACKAGES = {
    "etcd": "etcd-server",
    "openssl": "openssl",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Programs of the machine that a cluster needs, with their Debian packages."""

CONTROL_PLANE = ("etcd", "openssl")
"""Those of them that are enough for a control plane."""


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


def missing_for_building() -> str | None:
    """Say why the programs can't be built, and what to do about it; None when they can."""
    go = shutil.which("go")
    found = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout if go else ""
    version = re.match(r"go(\d+)\.(\d+)", found)
    if version is None:
        return f"the test cluster's programs are built with Go, which is not on PATH: install {GO_NAME} or newer"
    if (int(version[1]), int(version[2])) < GO:
        return f"the test cluster's programs need {GO_NAME} or newer; {go} is {found.strip()}"
    return None


def missing_for_control_plane() -> str | None:
    """Say why there can be no control plane on this machine, and what to do about it; None when there can be one."""
    return missing_for_building() or _missing(CONTROL_PLANE)


def missing_for_cluster() -> str | None:
    """Say why there can be no local cluster on this machine, and what to do about it; None when there can be one."""
    if os.geteuid() != 0:
        return "the local cluster needs root: run the tests as root, or name a cluster (docs/development.md)"
    return missing_for_building() or _missing(PACKAGES) or _missing_rights()


def _missing_rights() -> str | None:
    """Say what even root may not do here, in a container for example."""
    try:
        Runner().run(["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"])
    except ToolError as error:
        return f"the local cluster needs namespaces, which this machine refuses: {error.message}"
    if not os.access("/sys/fs/cgroup", os.W_OK) or os.statvfs("/sys/fs/cgroup").f_flag & os.ST_RDONLY:
        return "the local cluster needs control groups: /sys/fs/cgroup is read-only here"
    return None


def _missing(programs: Iterable[str]) -> str | None:
    path = BASE_ENVIRONMENT["PATH"]
    lacking = {PACKAGES[program] for program in programs if not shutil.which(program, path=path)}
    return f"packages are missing: apt-get install {' '.join(sorted(lacking))}" if lacking else None
