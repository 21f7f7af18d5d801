"""Containers for tests: an image archive unpacked and run by runc, with as few rights as a pod gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120
PRIVILEGED = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "SETFCAP",
    "SYS_CHROOT", "SYS_ADMIN", "MKNOD", "NET_ADMIN",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An unpacked image."""

    root: Path
    config: Mapping[str, Any]

    def run(
        self,
        *words: str,
        program: Sequence[str] = (),
        privileged: bool = False,
        mounts: Mapping[Path, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the image's program, or another, on a read-only root, without a network.

        Args:
            words: arguments of the program.
            program: instead of the entry point.
            privileged: as root with what a privileged pod has; otherwise as nobody in particular with nothing.
            mounts: files and folders of this machine by where they are seen.
        """
        bundle = self.root.parent
        (bundle / "config.json").write_text(
            json.dumps(self._specification([*(program or self.config["Entrypoint"]), *words], mounts or {}, privileged))
        )
        name = f"test-{bundle.parent.name}-{bundle.name}"
        argv = ["runc", "--root", str(bundle / "state"), "run", "--bundle", str(bundle), name]
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def _specification(self, argv: list[str], mounts: Mapping[Path, str], privileged: bool) -> dict[str, Any]:
        """Give the container's specification, see the OCI runtime specification's config.md."""
        uid, _, gid = self.config.get("User", "65532:65532").partition(":")
        capabilities = [f"CAP_{name}" for name in PRIVILEGED] if privileged else []
        bound = [
            {"destination": target, "source": str(source), "type": "bind", "options": ["bind", "ro"]}
            for source, target in mounts.items()
        ]
        masked = [] if privileged else ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0} if privileged else {"uid": int(uid), "gid": int(gid)},
                "args": argv,
                "env": self.config["Env"],
                "cwd": self.config["WorkingDir"],
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
                "noNewPrivileges": not privileged,
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
                *bound,
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
                "maskedPaths": masked,
                "cgroupsPath": "",
            },
        }


def unpacked(archive: Path, folder: Path) -> Image:
    """Unpack an archive's layers, one over the other; skips the test where that or running it is not allowed."""
    if shutil.which("runc") is None:
        pytest.skip("runc is not on this machine; 'make setup-cluster' installs it")
    root = folder / "rootfs"
    root.mkdir(parents=True)
    with tarfile.open(archive) as opened:
        manifest = json.loads(_read(opened, "manifest.json"))[0]
        config = json.loads(_read(opened, manifest["Config"]))["config"]
        for layer in manifest["Layers"]:
            content = _read(opened, layer)
            unpack = ["tar", "-C", str(root), "-x", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-p"]
            subprocess.run(unpack, input=content, check=True, timeout=PATIENCE)
    return Image(root, config)


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()
