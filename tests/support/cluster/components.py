"""How each program of Kubernetes is called and set up; who runs them where is not this module's business."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import Accounts, Authority, Certificate, write_kubeconfig
from .place import NODE, Place

SERVICES = "10.96.0.0/16"
"""Addresses of services, inside a cluster only; its first one is the API server's."""

API_IN_PODS = "10.96.0.1"


@dataclass(frozen=True)
class Identity:
    """Certificates and kubeconfigs of a cluster's own programs, and of its administrator."""

    folder: Path
    server: str
    context: str
    authority: Authority
    accounts: Accounts
    admin: Certificate
    apiserver: Certificate

    @classmethod
    def at(cls, folder: Path, *, server: str, address: str, context: str) -> Identity:
        """Take the identity kept in a folder; make it if there is none.

        Args:
            folder: where it is kept.
            server: the API server's URL.
            address: the IP address in that URL.
            context: name of the context in the kubeconfigs.
        """
        authority = Authority.at(folder, f"{context}-ca")
        service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        names = [f"IP:{known}" for known in dict.fromkeys((API_IN_PODS, address, "127.0.0.1"))]
        names += [f"DNS:{known}" for known in ("localhost", *service, f"{service[-1]}.cluster.local")]
        return cls(
            folder,
            server,
            context,
            authority,
            Accounts.at(folder),
            admin=authority.issue("admin", subject="/O=system:masters/CN=admin"),
            apiserver=authority.issue("apiserver", subject="/CN=kube-apiserver", names=names),
        )

    def kubeconfig(self, name: str, subject: str) -> Path:
        """Write the kubeconfig of one client."""
        client = self.authority.issue(name, subject=subject)
        file = self.folder / f"{name}.kubeconfig"
        return write_kubeconfig(file, self.server, self.authority, client, context=self.context)


Argv = list[str | Path]


def etcd(data: Path, *, port: int, peer_port: int) -> Argv:
    """The database. Its data need not survive the machine: no fsync, which is most of its cost."""
    own, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    words: Argv = ["etcd", "--data-dir", data, "--unsafe-no-fsync", "--auto-compaction-retention", "10m"]
    words += ["--listen-client-urls", own, "--advertise-client-urls", own, "--listen-peer-urls", peers]
    return [*words, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"]


def apiserver(
    tools: Path, identity: Identity, *, etcd_port: int, address: str, port: int, more: Sequence[str] = ()
) -> Argv:
    """The API server, with the admission that is on by default, and the node's; `more` are further arguments."""
    to_kubelet = identity.authority.issue("apiserver-to-kubelet", subject="/O=system:masters/CN=apiserver-to-kubelet")
    return [
        tools / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--advertise-address={address}",
        f"--secure-port={port}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={identity.authority.certificate}",
        f"--tls-cert-file={identity.apiserver.certificate}",
        f"--tls-private-key-file={identity.apiserver.key}",
        f"--kubelet-client-certificate={to_kubelet.certificate}",
        f"--kubelet-client-key={to_kubelet.key}",
        f"--kubelet-certificate-authority={identity.authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={identity.accounts.public}",
        f"--service-account-signing-key-file={identity.accounts.private}",
        *more,
    ]


def controller_manager(tools: Path, identity: Identity, *, port: int = 0) -> Argv:
    """The controllers. `port` is where metrics are, 0 for nowhere."""
    config = identity.kubeconfig("controller-manager", "/CN=system:kube-controller-manager")
    return [
        *_controller(tools / "kube-controller-manager", config, port),
        f"--service-account-private-key-file={identity.accounts.private}",
        f"--root-ca-file={identity.authority.certificate}",
        f"--cluster-signing-cert-file={identity.authority.own.certificate}",
        f"--cluster-signing-key-file={identity.authority.own.key}",
        "--use-service-account-credentials=true",
        # It makes an account for each of its controllers first: at the usual 20 requests a second that takes 5 s.
        "--kube-api-qps=500",
        "--kube-api-burst=500",
    ]


def scheduler(tools: Path, identity: Identity, *, port: int = 0) -> Argv:
    """The scheduler. `port` is where metrics are, 0 for nowhere."""
    return _controller(tools / "kube-scheduler", identity.kubeconfig("scheduler", "/CN=system:kube-scheduler"), port)


def _controller(program: Path, config: Path, port: int) -> Argv:
    served: Argv = ["--bind-address=127.0.0.1", f"--secure-port={port}"]
    known = [f"--{flag}={config}" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")]
    return [program, *known, *served, "--leader-elect=false"]


def kubelet(tools: Path, identity: Identity, folder: Path, place: Place) -> Argv:
    """The node's agent; writes its configuration into the folder."""
    own = identity.authority.issue(
        "kubelet-server", subject=f"/O=system:nodes/CN=system:node:{NODE}", names=[f"IP:{place.node_ip}", f"DNS:{NODE}"]
    )
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    config = _config(
        folder / "kubelet.json",
        apiVersion="kubelet.config.k8s.io/v1beta1",
        kind="KubeletConfiguration",
        address=place.node_ip,
        authentication={"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(identity.authority.certificate)}},
        authorization={"mode": "Webhook"},
        tlsCertFile=str(own.certificate),
        tlsPrivateKeyFile=str(own.key),
        containerRuntimeEndpoint="unix:///run/containerd/containerd.sock",
        cgroupDriver="cgroupfs",
        cgroupRoot=f"/{place.cgroup}",
        failCgroupV1=False,
        failSwapOn=False,
        # The default is above the hard limit that containers and small machines have.
        maxOpenFiles=min(open_files, 1_000_000) if open_files > 0 else 1_000_000,
        clusterDomain="cluster.local",
        # There is no DNS in the cluster: pods get the node's.
        clusterDNS=[],
        resolvConf=str(_resolver(folder)),
        # The machine's disk and memory are not the cluster's to worry about, until next to nothing is left.
        evictionHard={
            "memory.available": "100Mi",
            "nodefs.available": "1Gi",
            "imagefs.available": "1Gi",
            "nodefs.inodesFree": "1%",
            "imagefs.inodesFree": "1%",
        },
        imageGCHighThresholdPercent=100,
        imageGCLowThresholdPercent=99,
        # What volumes hold is measured every minute by default; a test would wait as long for an eviction.
        volumeStatsAggPeriod="5s",
        maxPods=200,
    )
    kubeconfig = identity.kubeconfig("kubelet", f"/O=system:nodes/CN=system:node:{NODE}")
    where = (f"--node-ip={place.node_ip}", f"--hostname-override={NODE}")
    return [tools / "kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}", *where]


def proxy(tools: Path, identity: Identity, folder: Path, place: Place) -> Argv:
    """What makes the addresses of services lead to pods; writes its configuration into the folder."""
    config = _config(
        folder / "proxy.json",
        apiVersion="kubeproxy.config.k8s.io/v1alpha1",
        kind="KubeProxyConfiguration",
        mode="iptables",
        clusterCIDR=place.pods,
        hostnameOverride=NODE,
        clientConnection={"kubeconfig": str(identity.kubeconfig("proxy", "/CN=system:kube-proxy"))},
        # Zeros leave the machine's own connection tracking as it is.
        conntrack={"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    )
    return [tools / "kube-proxy", f"--config={config}"]


def _resolver(folder: Path) -> Path:
    """Write the machine's name servers for pods: those behind a resolver on the loopback, which pods don't reach."""
    machine, behind = Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")
    on_loopback = re.search(r"^nameserver\s+(127\.|::1)", machine.read_text(), re.MULTILINE)
    file = folder / "resolv.conf"
    file.write_text((behind if on_loopback and behind.exists() else machine).read_text())
    return file


def _config(file: Path, **fields: Any) -> Path:
    file.write_text(json.dumps(fields, indent=1))
    return file
