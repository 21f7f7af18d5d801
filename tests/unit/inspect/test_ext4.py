from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from image_composer.errors import InspectError
from image_composer.inspect.ext4 import LARGEST_FILE, Ext4
from image_composer.inspect.raw import open_raw
from image_composer.run import Runner


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    return tree


def read(tree: Path, path: str) -> bytes | None:
    image = tree.parent / "root.ext4"
    command = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image), "4M"]
    subprocess.run(command, check=True, capture_output=True)
    with open_raw(image, Runner()) as raw:
        return Ext4(raw, 0).read(path)


@pytest.mark.parametrize("target", ["there", "/etc/there", "../../../etc/there", "../etc/./there", "link"])
def test_links_are_followed_within_the_image(tree: Path, target: str) -> None:
    (tree / "etc/there").write_text("content")
    (tree / "etc/link").symlink_to("/etc/there")
    (tree / "etc/asked").symlink_to(target)
    assert read(tree, "/etc/asked") == b"content"


@pytest.mark.parametrize("target", ["asked", "missing", ".", "<2>", 'a"b', "a b", "x\ncat /etc/there"])
def test_a_link_that_leads_nowhere_is_no_file(tree: Path, target: str) -> None:
    (tree / "etc/there").write_text("content")
    (tree / "etc/asked").symlink_to(target)
    assert read(tree, "/etc/asked") is None


def test_a_folder_and_a_missing_file_are_no_file(tree: Path) -> None:
    assert read(tree, "/etc") is None
    (tree.parent / "root.ext4").unlink()
    assert read(tree, "/etc/missing") is None


def test_bytes_come_out_as_they_are(tree: Path) -> None:
    content = bytes(range(256)) * 100
    (tree / "etc/asked").write_bytes(content)
    assert read(tree, "/etc/asked") == content


def test_a_file_that_would_fill_the_memory_is_not_read(tree: Path) -> None:
    with (tree / "etc/asked").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(InspectError, match="impossibly large"):
        read(tree, "/etc/asked")
