"""Kubernetes for tests: a cluster of one node, or its control plane alone, and an S3 server beside them.

How it is made, and why so, is in docs/development.md.
"""

from .controlplane import ControlPlane
from .local import LocalCluster
from .place import free_index
from .processes import ClusterError, Daemon, eventually, free_port
from .s3 import S3Server

__all__ = [
    "ClusterError",
    "ControlPlane",
    "Daemon",
    "LocalCluster",
    "S3Server",
    "eventually",
    "free_index",
    "free_port",
]
