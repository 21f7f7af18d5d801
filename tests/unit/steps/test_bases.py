"""Reading what a document builds on: files beside it and ConfigMaps of the inputs folder, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_composer.errors import SpecError
from image_composer.spec.layers.compose import Address, UnavailableError
from image_composer.steps.bases import Bases, read_below

BASE = b"packages: [curl]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a document's folder, with something outside that must not be read."""
    (tmp_path / "outside.yaml").write_bytes(b"packages: [outside]\n")
    place = tmp_path / "documents"
    (place / "bases").mkdir(parents=True)
    (place / "bases/a.yaml").write_bytes(BASE)
    return place


def file(name: str) -> Address:
    return Address("file", name)


def refusal(bases: Bases, address: Address) -> str:
    with pytest.raises(UnavailableError) as caught:
        bases.load(address)
    return str(caught.value)


def test_files_beside_a_document_and_below_are_read(folder: Path) -> None:
    assert Bases(folder, None).load(file("bases/a.yaml")) == {"packages": ["curl"]}


def test_the_folder_itself_may_lie_behind_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert Bases(tmp_path / "link", None).load(file("bases/a.yaml")) == {"packages": ["curl"]}


@pytest.mark.parametrize("path", ["../outside.yaml", "bases/../../outside.yaml", "/etc/passwd", "./bases/a.yaml", ""])
def test_no_path_leads_out(folder: Path, path: str) -> None:
    with pytest.raises(OSError, match="leads out of the folder"):
        read_below(folder, path)


def test_no_link_is_followed(folder: Path) -> None:
    (folder / "file.yaml").symlink_to("../outside.yaml")
    (folder / "inside.yaml").symlink_to("bases/a.yaml")
    (folder / "folder").symlink_to("..")
    (folder / "absolute.yaml").symlink_to("/etc/passwd")
    said = "but that is a link, or leads through one; only files and folders are followed"
    for name in ("file.yaml", "inside.yaml", "folder/outside.yaml", "absolute.yaml"):
        assert refusal(Bases(folder, None), file(name)) == said


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    assert refusal(Bases(folder, None), file("pipe.yaml")) == "which can't be read: it is not a regular file"
    assert refusal(Bases(folder, None), file("bases")) == "which can't be read: it is not a regular file"
    assert refusal(Bases(folder, None), file("none.yaml")) == "which is not there"


def test_huge_and_broken_files_are_refused_by_their_name(folder: Path) -> None:
    (folder / "huge.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    (folder / "broken.yaml").write_bytes(b"a: &x [1]\nb: *x\n")
    for name, said in (("huge.yaml", "huge.yaml is larger than 1024 KiB"), ("broken.yaml", "broken.yaml is not valid")):
        with pytest.raises(SpecError, match=said):
            Bases(folder, None).load(file(name))


def test_config_maps_are_files_of_the_inputs_folder(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "inputs/configmaps/site"
    (place / "..data").mkdir(parents=True)
    (place / "..data/image.yaml").write_bytes(BASE)
    (place / "image.yaml").symlink_to("..data/image.yaml")  # as Kubernetes mounts them
    bases = Bases(folder, tmp_path / "inputs")
    assert bases.load(Address("ConfigMap", "site", "image.yaml")) == {"packages": ["curl"]}
    assert refusal(bases, Address("ConfigMap", "site", "other")) == f"but there is no {place}/other"
    assert "no folder of inputs is given" in refusal(Bases(folder, None), Address("ConfigMap", "site", "image.yaml"))


def test_only_a_cluster_knows_image_builds(folder: Path) -> None:
    assert refusal(Bases(folder, None), Address("ImageBuild", "edge")).startswith("which only a cluster knows")
