import gzip
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_composer.formats.gzip import PIECE, write_gzip

SIZES = [0, 1, 512, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hole", [False, True], ids=["content", "hole"])
def test_gzip_unpacks_it(tmp_path: Path, size: int, hole: bool) -> None:
    source, packed = tmp_path / "source", tmp_path / "packed"
    with source.open("xb") as stream:
        stream.truncate(size) if hole else stream.write(b"abcd" * (size // 4) + b"x" * (size % 4))
    write_gzip(source, packed, 3)
    done = subprocess.run(["gzip", "-d", "-c"], stdin=packed.open("rb"), capture_output=True, check=True)
    assert done.stdout == source.read_bytes()


@settings(max_examples=20, deadline=None)
@given(places=st.lists(st.integers(0, 6 * PIECE), max_size=4), size=st.integers(1, 6 * PIECE))
def test_holes_do_not_change_the_result(tmp_path_factory: pytest.TempPathFactory, places: list[int], size: int) -> None:
    folder = tmp_path_factory.mktemp("holes")
    with (folder / "sparse").open("xb") as stream:
        stream.truncate(size)
        for place in places:
            stream.seek(min(place, size - 1))
            stream.write(b"x")
    (folder / "full").write_bytes((folder / "sparse").read_bytes())
    write_gzip(folder / "sparse", folder / "sparse.gz", 2)
    write_gzip(folder / "full", folder / "full.gz", 1)
    assert (folder / "sparse.gz").read_bytes() == (folder / "full.gz").read_bytes()
    assert gzip.decompress((folder / "full.gz").read_bytes()) == (folder / "full").read_bytes()
