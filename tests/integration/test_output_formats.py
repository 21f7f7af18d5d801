"""Several formats of one build: each is the same disk, the same bytes every time, and nothing else is published."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.composer import Composer, nothing_left, write_document
from support.disks import say
from support.distribution import document

FORMATS: Mapping[str, tuple[str, str]] = {
    "edge-1.0-x86_64.vhd": ("vhd", "vpc"),
    "edge-1.0-x86_64.dynamic.vhd": ("vhd-dynamic", "vpc"),
    "edge-1.0-x86_64.vhdx": ("vhdx", "vhdx"),
    "edge-1.0-x86_64.qcow2": ("qcow2", "qcow2"),
    "edge-1.0-x86_64.vmdk": ("vmdk", "vmdk"),
}
"""Format and QEMU's driver by the file's name."""

COMPRESSED: Mapping[str, tuple[str, str]] = {
    "edge-1.0-x86_64.raw.zst": ("zstd", "zstd"),
    "edge-1.0-x86_64.raw.xz": ("xz", "xz"),
    "edge-1.0-x86_64.raw.gz": ("gzip", "gzip"),
}
"""Compression of the raw disk and the program that undoes it, by the file's name."""


def everything() -> dict[str, Any]:
    outputs = [{"format": name} for name, _ in FORMATS.values()]
    outputs += [{"format": "raw", "compression": name} for name, _ in COMPRESSED.values()]
    return document(outputs=outputs)


@pytest.fixture(scope="module")
def published(bootable: Composer, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two builds of one lock."""
    folder = tmp_path_factory.mktemp("formats")
    file = write_document(folder, everything())
    for name in ("one", "two"):
        outcome = bootable.run("build", "-f", file, "-o", folder / name, "--lock", finished / "lock.json")
        assert outcome.status == 0, outcome.error
    return folder / "one", folder / "two"


@pytest.mark.network
@pytest.mark.build
def test_every_format_is_one_and_the_same_disk(published: tuple[Path, Path], tmp_path: Path) -> None:
    disks = {}
    for name, (_, driver) in FORMATS.items():
        say("qemu-img", "convert", "-f", driver, "-O", "raw", published[0] / name, tmp_path / "back.raw")
        disks[name] = sha256(tmp_path / "back.raw")
    for name, (_, program) in COMPRESSED.items():
        with (tmp_path / "back.raw").open("wb") as stream:
            subprocess.run([program, "-d", "-c", published[0] / name], stdout=stream, check=True)
        disks[name] = sha256(tmp_path / "back.raw")
    assert len(set(disks.values())) == 1


@pytest.mark.network
@pytest.mark.build
def test_two_builds_give_the_same_bytes_in_every_format(published: tuple[Path, Path]) -> None:
    one, two = ((folder / "SHA256SUMS").read_text().splitlines() for folder in published)
    names = {line.partition(" *")[2] for line in one}
    assert {*FORMATS, *COMPRESSED} <= names
    assert one == two


@pytest.mark.network
@pytest.mark.build
def test_the_result_names_each_output_and_nothing_else_is_there(published: tuple[Path, Path]) -> None:
    result = json.loads((published[0] / "result.json").read_text())
    told = {item["file"]: (item["format"], item["compression"]) for item in result["artifacts"]}
    formats = {name: (kind, "none") for name, (kind, _) in FORMATS.items()}
    assert told == {**formats, **{name: ("raw", kind) for name, (kind, _) in COMPRESSED.items()}}
    documents = {item["file"] for item in result["documents"]}
    assert {path.name for path in published[0].iterdir()} == {*told, *documents, "result.json"}


@pytest.mark.network
@pytest.mark.build
@pytest.mark.parametrize("name", [*FORMATS, *COMPRESSED])
def test_each_is_inspected_alike(bootable: Composer, published: tuple[Path, Path], name: str) -> None:
    outcome = bootable.run("inspect", "--json", published[0] / name)
    assert outcome.status == 0, outcome.error
    report = json.loads(outcome.printed)
    assert [partition["label"] for partition in report["partitions"]] == ["ESP", "root"]
    assert "tiny-boot" in {package["name"] for package in report["packages"]}


@pytest.mark.parametrize("name", ["qcow2", "vmdk"])
def test_compressing_what_is_compressed_inside_is_refused_before_anything_begins(
    composer: Composer, tmp_path: Path, name: str
) -> None:
    outputs = [{"format": "raw"}, {"format": name, "compression": "xz"}]
    file = write_document(tmp_path, document(outputs=outputs))
    with nothing_left(composer, tmp_path):
        outcome = composer.run("build", "-f", file, "-o", tmp_path / "out")
    assert outcome.status == 2
    assert f"spec.image.outputs[1].compression: must be 'none': {name} is compressed inside already" in outcome.error


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
