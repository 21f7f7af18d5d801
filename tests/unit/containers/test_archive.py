from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from containers.archive import Archive, ImageConfig, write_archive
from containers.layer import Layer, write_layer
from image_composer.run import Runner

CONFIG = ImageConfig(
    architecture="amd64",
    entrypoint=["image-composer"],
    environment={"PATH": "/usr/bin", "LANG": "C.UTF-8"},
    labels={"org.opencontainers.image.title": "Ours"},
    user="65532:65532",
)
REFERENCES = ("localhost/ours:0.1.0", "localhost/ours:dev")


@pytest.fixture
def layers(tmp_path: Path) -> list[Layer]:
    made = []
    for number, content in enumerate(("base", "code")):
        folder = tmp_path / content
        folder.mkdir()
        (folder / content).write_text(content * 1000)
        target = tmp_path / f"{content}.tar"
        made.append(write_layer(folder, target, epoch=1_600_000_000 + number, comment=content, tools=Runner()))
    return made


@pytest.fixture
def archive(layers: list[Layer], tmp_path: Path) -> Archive:
    return write_archive(CONFIG, layers, REFERENCES, tmp_path / "out" / "ours.tar")


def read(archive: Archive, name: str) -> bytes:
    with tarfile.open(archive.path) as opened:
        stream = opened.extractfile(name)
        assert stream is not None
        return stream.read()


def document(archive: Archive, name: str) -> Any:
    return json.loads(read(archive, name))


def blob(archive: Archive, descriptor: Any) -> bytes:
    """Give what a descriptor points at, held against its digest and size."""
    algorithm, _, digest = descriptor["digest"].partition(":")
    content = read(archive, f"blobs/{algorithm}/{digest}")
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, descriptor["size"])
    return content


def test_every_blob_is_named_by_its_digest(archive: Archive) -> None:
    with tarfile.open(archive.path) as opened:
        blobs = [entry for entry in opened if entry.name.startswith("blobs/sha256/")]
    assert len(blobs) == 4
    for entry in blobs:
        assert hashlib.sha256(read(archive, entry.name)).hexdigest() == entry.name.rpartition("/")[2]


def test_the_index_leads_to_the_layers_under_every_name(archive: Archive, layers: list[Layer]) -> None:
    assert document(archive, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    index = document(archive, "index.json")
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == list(REFERENCES)
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]] == [
        "0.1.0",
        "dev",
    ]
    for entry in index["manifests"]:
        assert entry["digest"] == f"sha256:{archive.manifest_digest}"
        manifest = json.loads(blob(archive, entry))
        assert manifest["mediaType"] == entry["mediaType"]
        assert [blob(archive, layer) for layer in manifest["layers"]] == [layer.path.read_bytes() for layer in layers]


def test_docker_finds_the_same_image(archive: Archive) -> None:
    (docker,) = document(archive, "manifest.json")
    manifest = json.loads(blob(archive, document(archive, "index.json")["manifests"][0]))
    assert docker["RepoTags"] == list(REFERENCES)
    assert docker["Config"] == f"blobs/sha256/{archive.image_id}"
    assert manifest["config"]["digest"] == f"sha256:{archive.image_id}"
    assert docker["Layers"] == [f"blobs/sha256/{layer['digest'].partition(':')[2]}" for layer in manifest["layers"]]


def test_the_configuration_says_how_the_image_is_started(archive: Archive, layers: list[Layer]) -> None:
    found = document(archive, f"blobs/sha256/{archive.image_id}")
    assert found["config"] == {
        "Entrypoint": ["image-composer"],
        "Env": ["LANG=C.UTF-8", "PATH=/usr/bin"],
        "Labels": {"org.opencontainers.image.title": "Ours"},
        "User": "65532:65532",
        "WorkingDir": "/",
    }
    assert found["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]}
    assert [entry["comment"] for entry in found["history"]] == ["base", "code"]
    assert found["created"] == "2020-09-13T12:26:41Z"


def test_the_same_image_gives_the_same_bytes(archive: Archive, layers: list[Layer], tmp_path: Path) -> None:
    again = write_archive(CONFIG, layers, REFERENCES, tmp_path / "again.tar")
    assert again.path.read_bytes() == archive.path.read_bytes()


def test_an_archive_that_is_right_is_left_alone(archive: Archive, layers: list[Layer]) -> None:
    before = archive.path.stat()
    write_archive(CONFIG, layers, REFERENCES, archive.path)
    assert archive.path.stat().st_mtime_ns == before.st_mtime_ns
    assert archive.path.stat().st_ino == before.st_ino


def with_index(content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as opened:
        entry = tarfile.TarInfo("index.json")
        entry.size = len(content)
        opened.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize("content", [b"", b"no archive", with_index(b"{}")], ids=["empty", "no tar", "another"])
def test_anything_else_of_that_name_is_replaced(
    content: bytes, archive: Archive, layers: list[Layer], tmp_path: Path
) -> None:
    path = tmp_path / "other.tar"
    path.write_bytes(content)
    write_archive(CONFIG, layers, REFERENCES, path)
    assert path.read_bytes() == archive.path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []


def test_a_layer_that_is_there_twice_is_written_once(layers: list[Layer], tmp_path: Path) -> None:
    made = write_archive(CONFIG, [*layers, layers[0]], REFERENCES, tmp_path / "twice.tar")
    with tarfile.open(made.path) as opened:
        names = opened.getnames()
    assert len(names) == len(set(names))
    assert len(document(made, "manifest.json")[0]["Layers"]) == 3
