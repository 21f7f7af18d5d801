from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from image_composer.disk.readonly import make_erofs, make_squashfs
from image_composer.disk.verity import BLOCK, Verity, hashes_size, make_verity, verity_arguments
from image_composer.run import Runner
from support.disks import say

SALT, ID = "ab" * 32, UUID("57ec99d2-def6-5e66-bc86-43546cd302b4")
EPOCH = 1_700_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/name").write_text("edge\n")
    (tree / "large").write_bytes(bytes(range(256)) * 4096)
    return tree


def verified(data: Path, hashes: Path, root_hash: str) -> bool:
    words: list[str | Path] = ["veritysetup", "verify", data, hashes, root_hash]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_hashes_fit_the_data_and_nothing_else(tmp_path: Path) -> None:
    data, hashes = tmp_path / "data", tmp_path / "hashes"
    data.write_bytes(bytes(range(256)) * 4096)
    verity = make_verity(data, hashes, salt=SALT, uuid=ID, tools=Runner())
    assert verified(data, hashes, verity.root_hash)
    assert verity.size == hashes.stat().st_size
    with data.open("r+b") as stream:
        stream.seek(500_000)
        stream.write(b"\xff\xfe")
    assert not verified(data, hashes, verity.root_hash)


@pytest.mark.parametrize("blocks", [2, 128, 129, 128 * 128 + 1])
def test_the_room_that_hashes_take_is_known_before_they_are_made(tmp_path: Path, blocks: int) -> None:
    data = tmp_path / "data"
    with data.open("wb") as stream:
        stream.truncate(blocks * BLOCK)
    assert make_verity(data, tmp_path / "hashes", salt=SALT, uuid=ID, tools=Runner()).size == hashes_size(
        blocks * BLOCK
    )


def test_the_same_data_has_the_same_hashes_and_another_salt_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"x" * 8192)
    made = [
        (
            make_verity(data, tmp_path / name, salt=salt, uuid=ID, tools=Runner()).root_hash,
            (tmp_path / name).read_bytes(),
        )
        for name, salt in (("one", SALT), ("two", SALT), ("three", "cd" * 32))
    ]
    assert made[0] == made[1]
    assert made[0][0] != made[2][0]


def test_partitions_are_named_by_the_halves_of_the_root_hash() -> None:
    verity = Verity("00112233445566778899aabbccddeeff" + "f" * 32, 4096)
    words = verity_arguments(verity)
    assert "systemd.verity_root_data=PARTUUID=00112233-4455-6677-8899-aabbccddeeff" in words
    assert "systemd.verity_root_hash=PARTUUID=ffffffff-ffff-ffff-ffff-ffffffffffff" in words
    assert f"roothash={verity.root_hash}" in words


@pytest.mark.parametrize(
    ("compressions", "said"), [(["gzip", "zstd"], "zstd"), (["gzip", "lz4", "xz"], "lz4"), (["xz"], "xz")]
)
def test_a_squashfs_is_compressed_as_the_kernel_can_read_it(
    tree: Path, tmp_path: Path, compressions: list[str], said: str
) -> None:
    for name in ("one", "two"):
        make_squashfs(tree, tmp_path / name, compressions=compressions, epoch=EPOCH, jobs=2, tools=Runner())
    assert f"Compression {said}" in say("unsquashfs", "-s", tmp_path / "one")
    assert say("unsquashfs", "-cat", tmp_path / "one", "etc/name") == "edge\n"
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size % 4096 == 0


def test_an_erofs_holds_the_tree_and_is_the_same_every_time(tree: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_erofs(tree, tmp_path / name, compressions=["lz4"], uuid=ID, epoch=EPOCH, tools=Runner())
    say("fsck.erofs", f"--extract={tmp_path / 'out'}", tmp_path / "one")
    assert (tmp_path / "out/etc/name").read_text() == "edge\n"
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size % 4096 == 0
