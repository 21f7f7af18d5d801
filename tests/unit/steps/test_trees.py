"""Trees of a document: brought from the web, from beside the document and from ConfigMaps, and looked at early."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import SpecError
from image_composer.root.trees import Entry, EntryKind, pack
from image_composer.spec.document import read_document
from image_composer.steps import trees
from image_composer.steps.build import Build
from image_composer.steps.inputs import check_inputs, fetch_inputs, given_content
from image_composer.steps.trees import copy_folders, tree_entries
from support.httpserver import HttpServer
from support.specs import bare
from support.staged import build

FILE = EntryKind.FILE
ENTRIES = [Entry("etc", EntryKind.FOLDER), Entry("etc/gate", FILE, 0o644, b"x")]


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The folder of a document, with a tree in it."""
    folder = tmp_path / "documents"
    (folder / "overlays/site/etc").mkdir(parents=True)
    (folder / "overlays/site/etc/gate").write_bytes(b"x")
    return folder


def planted(current: Build) -> list[list[Entry]]:
    """Do what the stages do, one after another."""
    copy_folders(current, current.spec)
    fetch_inputs(current)
    return tree_entries(current, given_content(current))


def of(path: str = "/", **source: Any) -> list[dict[str, Any]]:
    return [{"name": "site", "path": path, **source}]


def archived(server: HttpServer, entries: list[Entry]) -> dict[str, str]:
    content = pack(entries)
    return {"url": server.serve("/a.tar", content), "sha256": hashlib.sha256(content).hexdigest()}


def test_an_archive_is_downloaded_with_its_digest(server: HttpServer, tmp_path: Path) -> None:
    assert planted(build(tmp_path / "work", trees=of(**archived(server, ENTRIES)))) == [ENTRIES]


def test_a_folder_lies_beside_the_document_and_is_needed_while_that_is_read_only(beside: Path, tmp_path: Path) -> None:
    current = build(tmp_path / "work", trees=of(folder="overlays/site"))
    copy_folders(replace(current, document_folder=beside), current.spec)
    fetch_inputs(current)
    assert tree_entries(current, {}) == [ENTRIES]


def test_every_key_of_a_config_map_is_a_file(tmp_path: Path) -> None:
    """As Kubernetes mounts them, and as people make them."""
    place = tmp_path / "inputs/configmaps/gate"
    (place / "..data").mkdir(parents=True)
    (place / "..data/b.conf").write_text("b")
    (place / "b.conf").symlink_to("..data/b.conf")
    (place / "a.conf").write_text("a")
    current = build(tmp_path / "work", given=tmp_path / "inputs", trees=of("/etc/gate", configMapRef={"name": "gate"}))
    assert planted(current) == [[Entry("a.conf", FILE, 0o644, b"a"), Entry("b.conf", FILE, 0o644, b"b")]]


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("/", "etc/shadow", "holds etc/shadow, which is written by the composer from other parts of the document"),
        ("/etc", "ssh/ssh_host_rsa_key", "holds ssh/ssh_host_rsa_key, which is a host key, which every machine makes"),
        ("/", "run/gate", "holds run/gate, which lies below /run, which the running system makes anew"),
        ("/boot", "efi/loader.conf", "holds efi/loader.conf, which lies on the EFI system partition"),
    ],
)
def test_what_comes_to_where_nothing_may_is_refused_before_the_packages_are_unpacked(
    server: HttpServer, tmp_path: Path, path: str, name: str, said: str
) -> None:
    current = build(tmp_path / "work", trees=of(path, **archived(server, [Entry(name, FILE)])))
    with pytest.raises(SpecError) as caught:
        fetch_inputs(current)
    [problem] = caught.value.problems
    assert problem.code == "SPEC_TREE"
    assert str(problem).startswith(f"spec.image.trees[0]: {said}")


def test_what_leads_out_of_an_archive_is_refused_with_the_tree_s_place(server: HttpServer, tmp_path: Path) -> None:
    current = build(tmp_path / "work", trees=of(**archived(server, [Entry("../etc/shadow", FILE)])))
    with pytest.raises(SpecError, match=r"^spec\.image\.trees\[0\]: holds '\.\./etc/shadow', whose path leads out$"):
        fetch_inputs(current)


def told(current: Build, *wanted: dict[str, Any]) -> list[str]:
    """Give what is wrong with a document before the work begins."""
    document = read_document(json.dumps(bare(trees=[*wanted])).encode(), "edge.json")
    try:
        check_inputs(replace(current, stands_alone=True), document)
    except SpecError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_what_a_laptop_lacks_is_told_before_the_work(
    beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (beside / "link").symlink_to("overlays")
    (beside / "overlays/bad").mkdir()
    (beside / "overlays/bad/x").symlink_to("/etc/shadow")
    alone = build(tmp_path / "work")
    current = replace(alone, document_folder=beside)
    names = ("nowhere", "link", "link/site", "overlays/bad", "overlays/site")
    sources: list[dict[str, Any]] = [*({"folder": name} for name in names), {"configMapRef": {"name": "gate"}}]
    wanted: list[dict[str, Any]] = [
        {"name": f"t{number}", "path": "/srv", **source} for number, source in enumerate(sources)
    ]
    assert told(current, *wanted) == [
        f"trees[0]: names the folder nowhere, but there is no {beside}/nowhere",
        "trees[1]: names the folder link, but that is a link, or lies below one",
        "trees[2]: names the folder link/site, but that is a link, or lies below one",
        "trees[3]: holds 'x', a link to '/etc/shadow', which is not relative",
        "trees[5]: names the ConfigMap gate, but no folder of inputs is given (IMAGE_COMPOSER_INPUTS)",
    ]
    assert told(alone, wanted[0]) == ["trees[0]: names the folder nowhere, but there is none beside the document"]
    (tmp_path / "inputs/configmaps/gate").mkdir(parents=True)
    (tmp_path / "inputs/configmaps/gate/key").write_text("x" * 9)
    with_inputs = build(tmp_path / "work", given=tmp_path / "inputs")
    assert told(with_inputs, wanted[5]) == []
    monkeypatch.setattr(trees, "LARGEST_CONFIG_MAP", 8)
    assert told(with_inputs, wanted[5])[0].startswith("trees[0]: names the ConfigMap gate, which has more than")
