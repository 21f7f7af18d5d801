"""Which cluster tests run in: one that was named, else kind, else the local one."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from image_composer.errors import ToolError
from image_composer.run import Runner

from . import tools
from .api import Kubectl
from .processes import ClusterError

CONTEXT = "IMAGE_COMPOSER_TEST_CONTEXT"
KIND_IMAGE = "IMAGE_COMPOSER_KIND_NODE_IMAGE"
KIND_NAME = "image-composer-test"
KIND_SECONDS = 600


class Cluster(Protocol):
    """What tests know of a cluster, whichever it is."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; its current context is the cluster."""

    @property
    def host_ip(self) -> str:
        """Where pods reach servers of this machine."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl for it."""

    def load_image(self, archive: Path) -> None:
        """Make an image of this machine known to it."""


@dataclass(frozen=True)
class NamedCluster:
    """A cluster that the user allowed tests to use. Images must be where it can pull them."""

    kubeconfig: Path
    kubectl: Kubectl
    host_ip: str

    def load_image(self, archive: Path) -> None:
        """Fail: nobody here may write to its nodes."""
        raise ClusterError(f"{archive.name} can't be loaded into a cluster named by {CONTEXT}; push it to its registry")


@dataclass(frozen=True)
class KindCluster:
    """A cluster of kind's, in Docker."""

    kubeconfig: Path
    kubectl: Kubectl
    host_ip: str

    def load_image(self, archive: Path) -> None:
        """Make an image of this machine known to it."""
        _kind("load", "image-archive", str(archive.resolve()), "--name", KIND_NAME)


def choose(environment: Mapping[str, str], folder: Path) -> NamedCluster | KindCluster | None:
    """Give the cluster that is at hand; None when the local one is to be started.

    Args:
        environment: the caller's.
        folder: for the kubeconfig.

    Raises:
        ClusterError: a context is named, but it is not the current one.
    """
    if environment.get(CONTEXT):
        return _named(environment, folder)
    image = _kind_image(environment)
    return _start_kind(image, folder) if image else None


def end_kind(folder: Path) -> None:
    """End the cluster that `choose` started with kind, if it did."""
    kubeconfig = folder / "kind.kubeconfig"
    if kubeconfig.exists():
        _kind("delete", "cluster", "--name", KIND_NAME)
        kubeconfig.unlink()


def _named(environment: Mapping[str, str], folder: Path) -> NamedCluster:
    """Take the current context, but only when the user wrote down its very name: tests delete things."""
    kubectl = _kubectl()
    given = {name: environment[name] for name in ("KUBECONFIG", "HOME") if name in environment}
    env = {"HOME": str(folder), **given}
    config = ("--minify", "--flatten", "--raw", "-o", "json")
    text = Runner().run([kubectl, "--cache-dir", folder / "cache", "config", "view", *config], env=env).stdout
    current = json.loads(text).get("current-context")
    if current != environment[CONTEXT]:
        raise ClusterError(
            f"{CONTEXT} is {environment[CONTEXT]}, but the current context is {current}: nothing is done"
        )
    kubeconfig = folder / "named.kubeconfig"
    kubeconfig.write_bytes(text)
    kubeconfig.chmod(0o600)
    return NamedCluster(kubeconfig, Kubectl(kubectl, kubeconfig), _own_address())


def _start_kind(image: str, folder: Path) -> KindCluster:
    kubeconfig = folder / "kind.kubeconfig"
    if not kubeconfig.exists():
        try:
            _kind("create", "cluster", "--name", KIND_NAME, "--image", image, "--kubeconfig", str(kubeconfig))
        except ToolError as error:
            raise ClusterError(f"kind could not start a cluster from {image}: {error}") from error
    gateway = "{{range .IPAM.Config}}{{println .Gateway}}{{end}}"
    addresses = Runner().run(["docker", "network", "inspect", "kind", "--format", gateway]).stdout.decode().split()
    host_ip = next((address for address in addresses if "." in address), _own_address())
    return KindCluster(kubeconfig, Kubectl(_kubectl(), kubeconfig), host_ip)


def _kind_image(environment: Mapping[str, str]) -> str | None:
    """Give a node image for kind that is here, when kind and Docker are, too; nothing is pulled."""
    if not all(shutil.which(program) for program in ("docker", "kind")):
        return None
    with contextlib.suppress(ToolError):
        asked = environment.get(KIND_IMAGE)
        if asked:
            _docker("image", "inspect", asked)
            return asked
        images = _docker("image", "ls", "kindest/node", "--format", "{{.Repository}}:{{.Tag}}").split()
        return images[0] if images else None
    return None


def _docker(*words: str) -> str:
    return Runner().run([str(shutil.which("docker")), *words], timeout=30).stdout.decode()


def _kind(*words: str) -> None:
    Runner().run([str(shutil.which("kind")), *words], env={"HOME": str(Path.home())}, timeout=KIND_SECONDS)


def _kubectl() -> Path:
    found = shutil.which("kubectl")
    return Path(found) if found else tools.build("kubernetes", said=None) / "kubectl"


def _own_address() -> str:
    """Give this machine's address in its network."""
    routes = json.loads(Runner().run(["ip", "-json", "route", "get", "1.1.1.1"]).stdout)
    return str(routes[0]["prefsrc"])
