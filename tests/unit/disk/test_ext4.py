import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from image_composer.digest import file_sha256
from image_composer.disk.ext4 import Ext4Parameters, make_ext4, used_inodes
from image_composer.disk.measure import measure_tree
from image_composer.errors import DiskError, DiskTooSmallError
from image_composer.run import Completed, Runner
from image_composer.settings import GIB, MIB
from support.disks import EPOCH, IDENTITY, ext4_parameters, field, make_tree, say, settle_times

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw+ep, as setcap writes it."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices can only be set by root")


def image_of(tree: Path, parameters: Ext4Parameters | None = None) -> Path:
    image = tree.with_name(f"{tree.name}.ext4")
    make_ext4(tree, image, parameters or ext4_parameters(32 * MIB), measure_tree(tree), tools=Runner())
    return image


def stat_in(image: Path, path: str) -> str:
    return say("debugfs", "-R", f"stat {path}", image)


def test_equal_trees_give_equal_bytes_wherever_and_whenever_they_were_made(tmp_path: Path) -> None:
    first = make_tree(tmp_path / "one" / "tree")
    before = (first / "holes").stat().st_ctime_ns // 10**9
    while int(time.time()) == before:  # a file's time of last change can't be set, only waited for
        time.sleep(0.01)
    second = make_tree(tmp_path / "two" / "tree", reverse=True)
    assert file_sha256(image_of(first)) == file_sha256(image_of(second))


def test_another_identity_gives_another_image(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    first = file_sha256(image_of(tree))
    assert first != file_sha256(image_of(tree, ext4_parameters(32 * MIB, label="home")))


def test_the_file_system_is_clean_and_as_it_was_asked_for(tmp_path: Path) -> None:
    image = image_of(make_tree(tmp_path / "tree"))
    assert subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode == 0
    said = say("dumpe2fs", "-h", image)
    assert field(said, "Filesystem UUID") == str(IDENTITY.filesystem("root"))
    assert field(said, "Directory Hash Seed") == str(IDENTITY.hash_seed("root"))
    assert field(said, "Filesystem volume name") == "root"
    assert field(said, "Block count") == str(32 * MIB // 4096)
    assert field(said, "Reserved block count") == "0"
    assert "orphan_file" not in field(said, "Filesystem features")
    assert image.stat().st_size == 32 * MIB


def test_no_time_is_later_than_the_epoch(tmp_path: Path) -> None:
    image = image_of(make_tree(tmp_path / "tree"))
    for path in ("/", "/etc", "/etc/file001", "/etc/soft", "/holes", "/lost+found"):
        said = stat_in(image, path)
        times = {field(said, name).split(":")[0] for name in ("ctime", "atime", "mtime", "crtime")}
        assert times == {f"{EPOCH:#x}"}, path


def test_links_modes_and_attributes_are_kept(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    os.setxattr(tree / "etc" / "file003", "user.note", b"kept")
    os.setxattr(tree / "etc" / "file003", "user.large", b"l" * 500)
    image = image_of(tree)
    assert field(stat_in(image, "/etc/file000"), "Links").split()[0] == "2"
    assert stat_in(image, "/etc/hard").splitlines()[0] == stat_in(image, "/etc/file000").splitlines()[0]
    assert 'link dest: "file001"' in stat_in(image, "/etc/soft")
    assert "Mode:  04755" in stat_in(image, "/etc/file002")
    assert say("debugfs", "-R", "cat /etc/file004", image) == "file004" * 100
    assert 'user.note (4) = "kept"' in say("debugfs", "-R", "ea_list /etc/file003", image)


@needs_root
def test_owners_capabilities_and_devices_are_kept(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    os.chown(tree / "etc" / "file005", 33, 4)
    os.lchown(tree / "etc" / "soft", 1000, 1000)
    os.setxattr(tree / "etc" / "file006", "security.capability", CAPABILITY)
    os.mknod(tree / "null", 0o20666, os.makedev(1, 3))
    settle_times(tree)
    image = image_of(tree)
    said = stat_in(image, "/etc/file005")
    assert "User:    33   Group:     4" in said
    assert "User:  1000   Group:  1000" in stat_in(image, "/etc/soft")
    assert f"security.capability (20) = {CAPABILITY.hex(' ')}" in say("debugfs", "-R", "ea_list /etc/file006", image)
    assert "Device major/minor number: 01:03" in stat_in(image, "/null")


def test_the_top_folder_gets_the_mode_and_the_owner_given(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    parameters = ext4_parameters(32 * MIB, root_mode=0o1770, root_owner=(1000, 100))
    said = stat_in(image_of(tree, parameters), "/")
    assert "Mode:  01770" in said
    assert "Type: directory" in said
    assert "User:  1000   Group:   100" in said


def test_an_image_is_replaced_not_mixed_with_the_one_before(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    fresh = file_sha256(image_of(tree))
    (tmp_path / "tree.ext4").write_bytes(os.urandom(40 * MIB))
    assert file_sha256(image_of(tree)) == fresh


def test_tables_and_journal_stay_holes(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    image = image_of(tmp_path / "tree", ext4_parameters(4 * GIB))
    assert image.stat().st_blocks * 512 < 4 * MIB


@pytest.mark.parametrize(
    ("size", "large"),
    [
        pytest.param(24 * MIB, True, id="blocks"),
        pytest.param(24 * MIB, False, id="inodes"),
        pytest.param(1 * MIB, True, id="journal"),
    ],
)
def test_a_tree_that_does_not_fit_is_the_user_s_error(tmp_path: Path, size: int, large: bool) -> None:
    tree = make_tree(tmp_path / "tree")
    usage = measure_tree(tree)
    if large:
        (tree / "large").write_bytes(b"x" * 30 * MIB)
    else:
        for number in range(1500):
            (tree / str(number)).touch()
    with pytest.raises(DiskTooSmallError) as raised:
        make_ext4(tree, tmp_path / "image", ext4_parameters(size), usage, tools=Runner())
    assert raised.value.code == "DISK_TOO_SMALL"
    assert "the partition root has" in raised.value.message


class ElsewhereRunner:
    """Runs debugfs on another image, which is not there."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        shown_as: str | None = None,
    ) -> Completed:
        words = [*argv[:-1], "/proc/nonexistent"] if argv[0] == "debugfs" else argv
        return Runner().run(words, stdin=stdin, env=env, shown_as=shown_as)


def test_what_debugfs_could_not_do_is_an_error_though_it_ends_with_success(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    with pytest.raises(DiskError, match="No such file") as raised:
        make_ext4(tree, tmp_path / "image", ext4_parameters(32 * MIB), measure_tree(tree), tools=ElsewhereRunner())
    assert raised.value.code == "DISK_EXT4_FAILED"


@pytest.mark.skipif(shutil.which("resize2fs", path="/usr/sbin:/sbin") is None, reason="needs resize2fs")
def test_it_can_grow_to_a_hundred_times_its_size_without_moving_anything(tmp_path: Path) -> None:
    image = image_of(make_tree(tmp_path / "tree"), ext4_parameters(GIB))
    reserved = int(field(say("dumpe2fs", "-h", image), "Reserved GDT blocks"))
    groups_with_room = (reserved + 1) * 4096 // 64
    assert groups_with_room * 128 * MIB >= 64 * GIB
    with image.open("r+b") as stream:
        stream.truncate(100 * GIB)
    say("resize2fs", image)
    assert subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("free", "used"),
    [
        ("  Free inodes: 15-16", [2, 11, 12, 13, 14]),
        ("  Free inodes: 11-16", [2]),
        ("  Free inodes: ", [2, 11, 12, 13, 14, 15, 16]),
        ("  Free inodes: 12, 14-15\n  Free inodes: 16", [2, 11, 13]),
    ],
)
def test_used_inodes_are_those_that_are_not_free(free: str, used: list[int]) -> None:
    assert used_inodes(f"Inode count:              16\nFirst inode:              11\n{free}\n") == used


def test_a_description_without_inodes_is_an_error() -> None:
    with pytest.raises(DiskError):
        used_inodes("nothing")
