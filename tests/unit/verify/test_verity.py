from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from image_composer.verify.verity import VerityFaultError, root_hash
from support.disks import say

BLOCK = 4096
SALT = "aabbccdd"


def reader(path: Path) -> Callable[[int, int], bytes]:
    content = path.read_bytes()
    return lambda offset, size: content[offset : offset + size]


def make(folder: Path, blocks: int) -> tuple[Path, Path, str]:
    """Let veritysetup hash a file of blocks that are all different but for some empty ones."""
    data, hashes, top = folder / "data", folder / "hashes", folder / "top"
    data.write_bytes(b"".join(number.to_bytes(4, "big") * (BLOCK // 4) for number in range(blocks)))
    say("veritysetup", "format", data, hashes, f"--salt={SALT}", f"--root-hash-file={top}")
    return data, hashes, top.read_text().strip()


@pytest.mark.parametrize("blocks", [1, 2, 127, 128, 129, 3000, 128 * 128 + 1])
def test_the_root_hash_is_that_of_veritysetup(tmp_path: Path, blocks: int) -> None:
    data, hashes, expected = make(tmp_path, blocks)
    assert root_hash(reader(data), reader(hashes), jobs=2) == expected


def test_a_flipped_bit_of_the_data_is_found_with_its_block(tmp_path: Path) -> None:
    data, hashes, _ = make(tmp_path, 3000)
    content = bytearray(data.read_bytes())
    content[2345 * BLOCK + 17] ^= 1
    data.write_bytes(content)
    with pytest.raises(VerityFaultError, match="block 2345 of the data does not fit its hash"):
        root_hash(reader(data), reader(hashes))


def test_a_flipped_bit_of_the_hashes_is_found(tmp_path: Path) -> None:
    data, hashes, _ = make(tmp_path, 3000)
    content = bytearray(hashes.read_bytes())
    content[BLOCK + 1] ^= 1  # the top, which the root hash is over
    hashes.write_bytes(content)
    with pytest.raises(VerityFaultError, match="the hashes don't fit each other"):
        root_hash(reader(data), reader(hashes))


def test_data_that_is_cut_off_is_found(tmp_path: Path) -> None:
    data, hashes, _ = make(tmp_path, 300)
    data.write_bytes(data.read_bytes()[: 200 * BLOCK])
    with pytest.raises(VerityFaultError, match="the data ends before its hashes do"):
        root_hash(reader(data), reader(hashes))


def test_something_else_is_not_taken_for_hashes(tmp_path: Path) -> None:
    data, _, _ = make(tmp_path, 2)
    with pytest.raises(VerityFaultError, match="there are no hashes"):
        root_hash(reader(data), reader(data))
