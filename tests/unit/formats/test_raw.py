import subprocess
from pathlib import Path

import pytest

from image_composer.digest import file_sha256
from image_composer.disk.sparse import create_sparse
from image_composer.errors import DiskError
from image_composer.formats.base import WRITERS, write_output
from image_composer.run import Runner
from image_composer.settings import MIB
from image_composer.spec.image import Compression, Output, OutputFormat

PLAIN = Output(format=OutputFormat.RAW)
ZSTD = Output(format=OutputFormat.RAW, compression=Compression.ZSTD)


def raw_disk(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    disk = folder / "disk.raw"
    create_sparse(disk, 20 * MIB)
    with disk.open("r+b") as stream:
        stream.seek(5 * MIB)
        stream.write(b"".join(number.to_bytes(4) for number in range(500_000)))
    return disk


def test_every_format_has_a_writer() -> None:
    assert set(WRITERS) == set(OutputFormat)


def test_an_uncompressed_disk_is_not_copied(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path)
    written = write_output(disk, tmp_path / "image.raw", PLAIN, tools=Runner())
    assert written.samefile(disk)


def test_a_compressed_disk_is_the_disk_again_when_unpacked(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path)
    written = write_output(disk, tmp_path / "image.raw.zst", ZSTD, tools=Runner())
    assert written.stat().st_size < 3 * MIB
    subprocess.run(["zstd", "-q", "-d", written, "-o", tmp_path / "unpacked"], check=True)
    assert file_sha256(tmp_path / "unpacked") == file_sha256(disk)


@pytest.mark.parametrize("output", [PLAIN, ZSTD], ids=str)
def test_equal_disks_give_equal_files(tmp_path: Path, output: Output) -> None:
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        disk = raw_disk(folder)
        written.append(write_output(disk, folder / "image", output, tools=Runner()))
    assert file_sha256(written[0]) == file_sha256(written[1])


def test_what_was_compressed_does_not_depend_on_the_number_of_processors(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path)
    written = write_output(disk, tmp_path / "image.raw.zst", ZSTD, tools=Runner())
    subprocess.run(["zstd", "-q", "-T3", "-3", "-o", tmp_path / "three", disk], check=True)
    assert file_sha256(written) == file_sha256(tmp_path / "three")


@pytest.mark.parametrize("output", [PLAIN, ZSTD], ids=str)
def test_a_file_that_is_there_already_is_replaced(tmp_path: Path, output: Output) -> None:
    disk = raw_disk(tmp_path)
    fresh = file_sha256(write_output(disk, tmp_path / "image", output, tools=Runner()))
    (tmp_path / "image").unlink()
    (tmp_path / "image").write_bytes(b"of an earlier build")
    (tmp_path / "image.part").write_bytes(b"of a build that was killed")
    assert file_sha256(write_output(disk, tmp_path / "image", output, tools=Runner())) == fresh
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "image"]


def test_a_place_that_can_t_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as raised:
        write_output(raw_disk(tmp_path), tmp_path / "nowhere" / "image", PLAIN, tools=Runner())
    assert raised.value.code == "DISK_WRITE_FAILED"
