from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.disk.ext4 import make_ext4
from image_composer.disk.ext4_size import (
    BLOCK,
    TreeUsage,
    capacity,
    directory_blocks,
    inode_count,
    size_needed,
    symlink_blocks,
    xattr_blocks,
)
from image_composer.disk.measure import measure_tree
from image_composer.run import Runner
from image_composer.settings import GIB, MIB
from support.disks import ext4_parameters, field, make_tree, say


@pytest.mark.parametrize(
    ("size", "inodes"),
    [
        (16 * MIB, 10),
        (64 * MIB, 20_000),
        (129 * MIB, 10),  # the last group is too small to be used
        (200 * MIB, 40_000),
        (1 * GIB, 60_000),
        (3 * GIB + 5 * MIB, 60_000),
        (20 * GIB, 1000),
    ],
)
def test_the_capacity_reckoned_is_what_mke2fs_leaves(tmp_path: Path, size: int, inodes: int) -> None:
    (tmp_path / "tree").mkdir()
    image = tmp_path / "image"
    make_ext4(tmp_path / "tree", image, ext4_parameters(size), TreeUsage(0, inodes), tools=Runner())
    free = int(field(say("dumpe2fs", "-h", image), "Free blocks"))
    assert free - 2 <= capacity(size, inodes) <= free


usages = st.integers(0, 200_000).flatmap(
    # Files of less than two blocks on average don't occur, and would need more groups for their inodes.
    lambda inodes: st.builds(TreeUsage, blocks=st.integers(2 * inodes, 3 * GIB // BLOCK), inodes=st.just(inodes))
)


@given(usage=usages, extra=st.integers(0, 2048))
def test_what_fits_the_size_needed_fits_every_larger_one(usage: TreeUsage, extra: int) -> None:
    size = size_needed(usage) + extra * MIB
    assert capacity(size, usage.inodes) >= usage.blocks
    assert inode_count(size, usage.inodes) >= usage.inodes + 11


@given(usage=usages)
def test_the_size_needed_wastes_little(usage: TreeUsage) -> None:
    content = usage.blocks * BLOCK + 2 * 256 * usage.inodes
    assert size_needed(usage) <= content * 1.1 + 32 * MIB


def test_a_tree_is_counted_as_ext4_stores_it(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    usage = measure_tree(tree)
    # the tree, etc, etc/empty, 120 files, two symlinks, a file with holes; the hard link is no inode of its own
    assert usage.inodes == 3 + 120 + 2 + 1
    assert usage.blocks == 3 + 120 + 1 + 256


def test_a_measured_tree_takes_no_more_than_was_counted(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    many = tree / "many"
    many.mkdir()
    for number in range(1500):
        (many / f"{number:04d}{'x' * (number % 200)}").touch()
    usage = measure_tree(tree)
    size, image = 64 * MIB, tmp_path / "image"
    make_ext4(tree, image, ext4_parameters(size), usage, tools=Runner())
    said = say("dumpe2fs", "-h", image)
    taken = capacity(size, usage.inodes) - int(field(said, "Free blocks"))
    assert taken <= usage.blocks
    # the top folder is an inode that is there already
    assert int(field(said, "Inode count")) - int(field(said, "Free inodes")) == 11 + usage.inodes - 1


def test_a_tree_fits_the_size_needed_for_it(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tree / "large").write_bytes(bytes(range(1, 256)) * 150_000)
    usage = measure_tree(tree)
    make_ext4(tree, tmp_path / "image", ext4_parameters(size_needed(usage)), usage, tools=Runner())


@pytest.mark.parametrize(("length", "blocks"), [(1, 0), (59, 0), (60, 1), (4095, 1)])
def test_short_symlinks_need_no_block(length: int, blocks: int) -> None:
    assert symlink_blocks(length) == blocks


@pytest.mark.parametrize(("names", "blocks"), [([], 1), ([10] * 200, 1), ([10] * 204, 2), ([255] * 15, 1)])
def test_folders_grow_with_their_names(names: list[int], blocks: int) -> None:
    assert directory_blocks(names) == blocks


@pytest.mark.parametrize(
    ("attributes", "blocks"),
    [
        ([], 0),
        ([("security.capability", 20)], 0),
        ([("security.selinux", 40)], 0),
        ([("security.selinux", 40), ("security.capability", 24)], 1),
        ([("user.note", 200)], 1),
    ],
)
def test_small_attributes_need_no_block(attributes: list[tuple[str, int]], blocks: int) -> None:
    assert xattr_blocks(attributes) == blocks
