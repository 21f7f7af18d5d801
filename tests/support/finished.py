"""Builds that are finished but for publishing: a few random bytes stand for an image."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_composer.digest import file_sha256
from image_composer.evidence.checksums import sha256sums
from image_composer.evidence.result import BuildResult
from image_composer.publish.s3 import LocalFile
from image_composer.repository.lock import Lock
from image_composer.spec.image import Target
from image_composer.verify.checks import Verification
from image_composer.workspace import AssembledRoot, FinishedDisk, FinishedImages, NormalisedSpec, Workspace
from support.specs import image_spec

IMAGE = "edge-1.0-x86_64.raw"
SBOM = "edge-1.0-x86_64.spdx.json"
VERDICT = "edge-1.0-x86_64.verify.json"
LOCK = "edge-1.0-x86_64.lock.json"


@dataclass(frozen=True)
class Finished:
    """Files to publish."""

    files: dict[str, LocalFile]
    result: Path

    @property
    def digests(self) -> dict[str, str]:
        """Give what must lie at the destination, by name."""
        return {**{name: file.sha256 for name, file in self.files.items()}, "result.json": file_sha256(self.result)}


def finish(folder: Path, *, image: int = 4096, seed: object = 1) -> Finished:
    """Make the files of a build.

    Args:
        folder: where.
        image: bytes of the image, of which the first MiB is random.
        seed: other contents for another seed.
    """
    folder.mkdir(exist_ok=True)
    files = {}
    for name, size in {IMAGE: image, SBOM: 5000, LOCK: 2000, "SHA256SUMS": 300}.items():
        write_sparse(folder / name, size, f"{seed} {name}")
        files[name] = LocalFile(folder / name, file_sha256(folder / name))
    result = folder / "result.json"
    result.write_text(json.dumps(account({name: file.sha256 for name, file in files.items()}, image)))
    return Finished(files, result)


def write_sparse(path: Path, size: int, seed: str) -> None:
    with path.open("wb") as stream:
        stream.write(random.Random(seed).randbytes(min(size, 1 << 20)))
        stream.truncate(size)


def account(digests: Mapping[str, str], image: int) -> dict[str, Any]:
    """Give a result.json."""
    kinds = {"sbom": SBOM, "lock": LOCK, "checksums": "SHA256SUMS"}
    result = BuildResult.model_validate(
        {
            "name": "edge",
            "version": "1.0",
            "target": {"distribution": "debian", "release": "12"},
            "artifacts": [
                {"file": IMAGE, "format": "raw", "compression": "none", "size": image, "sha256": digests[IMAGE]}
            ],
            "documents": [{"kind": kind, "file": name, "sha256": digests[name]} for kind, name in kinds.items()],
            "packageCount": 169,
            "kernelVersion": "6.1.0",
            "diskSize": image,
            "rootSize": image,
            "specDigest": "1" * 64,
            "lockDigest": "2" * 64,
            "sourceDateEpoch": 1_700_000_000,
            "builderVersion": "0.1.0",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:01:00Z",
            "timings": {"resolve": 1.0},
        }
    )
    return result.model_dump(mode="json", by_alias=True)


def finish_workspace(folder: Path, *, image: int = 4096, seed: object = 1) -> Workspace:
    """Make a workspace in which every stage but the last has run, but for validate's destination.json."""
    workspace = Workspace(folder)
    workspace.images.mkdir(parents=True)
    workspace.evidence.mkdir()
    spec = image_spec()
    workspace.write(workspace.spec, NormalisedSpec(path="", image=spec))
    target = Target(distribution="debian", release="12")
    workspace.write(workspace.lock, Lock(target=target, request_digest="0" * 64, repositories=[], packages=[]))
    workspace.write(workspace.assembled, AssembledRoot(kernel_version="6.1.0", epoch=1_700_000_000, trees={}))
    workspace.write(workspace.finished, FinishedImages(files=[IMAGE]))
    workspace.write(workspace.finished_disk, FinishedDisk(disk_size=image, root_size=image))
    workspace.write(workspace.verdict, Verification(checks=[]))
    write_sparse(workspace.images / IMAGE, image, f"{seed} image")
    for name in (SBOM, LOCK):
        write_sparse(workspace.evidence / name, 3000, f"{seed} {name}")
    files = [workspace.images / IMAGE, workspace.evidence / SBOM, workspace.evidence / LOCK]
    (workspace.evidence / "SHA256SUMS").write_text(sha256sums({path.name: file_sha256(path) for path in files}))
    return workspace
