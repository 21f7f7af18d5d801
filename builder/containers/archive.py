"""Image archives: one tar that is an OCI layout and, by one file more, what `docker save` writes.

Formats: the OCI image specification 1.1 (image-layout.md, manifest.md, config.md) and Docker's image specification
1.2 for manifest.json; Docker 25 and newer write both into one archive, as this does. containerd and `kind load` take
index.json, `docker load` takes either.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from containers.layer import Layer
from image_composer.digest import bytes_sha256, canonical_json

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How an image is started, and what it says of itself."""

    architecture: str
    """As Go names it, for example `amd64`."""

    entrypoint: Sequence[str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    user: str = ""
    """`uid:gid`; root when empty."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A finished archive."""

    path: Path
    references: Sequence[str]
    """Names that the image gets where the archive is imported."""

    image_id: str
    """Digest of the configuration: what Docker and the kubelet call the image's id."""

    manifest_digest: str
    layers: Sequence[Layer] = field(default_factory=tuple)


def write_archive(config: ImageConfig, layers: Sequence[Layer], references: Sequence[str], target: Path) -> Archive:
    """Write an image with its layers; the file is there whole or not at all, and left alone when it is right already.

    Args:
        config: how it is started.
        layers: the lowest first.
        references: `repository:tag`, all of them names of this image.
        target: the file to write.
    """
    configuration = canonical_json(config_document(config, layers))
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(CONFIG_TYPE, configuration),
            "layers": [
                {"mediaType": LAYER_TYPE, "digest": f"sha256:{layer.digest}", "size": layer.size} for layer in layers
            ],
        }
    )
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                **_descriptor(MANIFEST_TYPE, manifest),
                "platform": {"architecture": config.architecture, "os": "linux"},
                "annotations": {
                    "io.containerd.image.name": reference,
                    "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
                },
            }
            for reference in references
        ],
    }
    docker = [
        {
            "Config": _blob(bytes_sha256(configuration)),
            "RepoTags": list(references),
            "Layers": [_blob(layer.digest) for layer in layers],
        }
    ]
    files = {
        "oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": canonical_json(index),
        "manifest.json": canonical_json(docker),
        _blob(bytes_sha256(manifest)): manifest,
        _blob(bytes_sha256(configuration)): configuration,
    }
    made = Archive(target, references, bytes_sha256(configuration), bytes_sha256(manifest), tuple(layers))
    if target.is_file() and _index(target) == files["index.json"]:
        return made
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("blobs", "blobs/sha256"):
            archive.addfile(_folder(name))
        for name, content in files.items():
            archive.addfile(_file(name, len(content)), io.BytesIO(content))
        for layer in {layer.digest: layer for layer in layers}.values():
            with layer.path.open("rb") as stream:
                archive.addfile(_file(_blob(layer.digest), layer.size), stream)
    unfinished.replace(target)
    return made


def _index(path: Path) -> bytes:
    """Give an archive's index, which holds the digest of all there is in it."""
    try:
        with tarfile.open(path, "r:") as archive:
            content = archive.extractfile("index.json")
            return content.read() if content else b""
    except (tarfile.TarError, KeyError):
        return b""


def config_document(config: ImageConfig, layers: Sequence[Layer]) -> dict[str, Any]:
    """Give the image's configuration."""
    running: dict[str, Any] = {
        "Env": [f"{name}={value}" for name, value in sorted(config.environment.items())],
        "Entrypoint": list(config.entrypoint),
        "WorkingDir": "/",
        "Labels": dict(config.labels),
    }
    if config.user:
        running["User"] = config.user
    return {
        "created": _time(max(layer.epoch for layer in layers)),
        "architecture": config.architecture,
        "os": "linux",
        "config": running,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [
            {"created": _time(layer.epoch), "created_by": "image-composer", "comment": layer.comment}
            for layer in layers
        ],
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{bytes_sha256(content)}", "size": len(content)}


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest}"


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def _file(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry
