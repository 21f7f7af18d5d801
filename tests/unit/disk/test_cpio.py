from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_composer.disk.cpio import write_cpio
from support.disks import make_tree, say


def archive(tree: Path) -> bytes:
    stream = io.BytesIO()
    write_cpio(tree, stream)
    return stream.getvalue()


def unpacked(content: bytes, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["cpio", "-id", "--quiet"], input=content, cwd=folder, check=True, stderr=subprocess.PIPE)
    return folder


def entries(tree: Path) -> dict[str, tuple[int, bytes]]:
    """Give mode and content of everything below a folder."""
    found = {}
    for path in sorted(tree.rglob("*")):
        content = os.fsencode(path.readlink()) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(tree))] = path.lstat().st_mode, content
    return found


def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    assert entries(unpacked(archive(tree), tmp_path / "copy")) == entries(tree)


def test_equal_trees_give_equal_archives(tmp_path: Path) -> None:
    other = make_tree(tmp_path / "b", reverse=True)
    os.utime(other / "holes", (1, 1))
    assert archive(make_tree(tmp_path / "a")) == archive(other)


def test_everything_belongs_to_root_and_has_no_time(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "archive").write_bytes(archive(tree))
    listed = say("sh", "-c", f"TZ=UTC cpio -tvn --quiet <{tmp_path / 'archive'}").splitlines()
    assert all(" 0        0 " in line and "Jan  1  1970" in line for line in listed)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=9), st.binary(max_size=20), max_size=5))
def test_names_and_contents_of_any_length_are_kept(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("cpio")
    (folder / "tree").mkdir()
    for name, content in files.items():
        (folder / "tree" / name).write_bytes(content)
    packed = archive(folder / "tree")
    assert len(packed) % 512 == 0
    assert entries(unpacked(packed, folder / "copy")) == entries(folder / "tree")


def test_what_no_initramfs_needs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree" / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a folder, a file nor a link"):
        archive(tmp_path / "tree")
