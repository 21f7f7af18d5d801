import os
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from image_composer.digest import file_sha256
from image_composer.disk.assemble import write_disk
from image_composer.disk.ext4 import make_ext4
from image_composer.disk.gpt import sfdisk_script
from image_composer.disk.layout import DiskLayout, plan
from image_composer.disk.measure import measure_tree
from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.errors import DiskError
from image_composer.run import Runner
from image_composer.settings import GIB, MIB
from image_composer.spec.disk import Filesystem, Partition, PartitionType
from image_composer.spec.image import Architecture
from support.disks import IDENTITY, ext4_parameters, make_tree, partition_table


def layout(disk_size: int | None = None) -> DiskLayout:
    return plan(
        [
            Partition(label="esp", type=PartitionType.ESP, filesystem=Filesystem.VFAT),
            Partition(label="home", type=PartitionType.HOME, filesystem=Filesystem.EXT4, size="32MiB"),
            Partition(label="root", type=PartitionType.ROOT, filesystem=Filesystem.EXT4, grow=True),
        ],
        {"root": 30 * MIB},
        disk_size=disk_size,
        architecture=Architecture.X86_64,
        identity=IDENTITY,
        path_prefix="spec.image",
    )


def sparse_file(path: Path, size: int, pieces: dict[int, bytes]) -> Path:
    with path.open("wb") as stream:
        stream.truncate(size)
        for offset, content in pieces.items():
            stream.seek(offset)
            stream.write(content)
    return path


def disk_of(folder: Path, planned: DiskLayout) -> Path:
    folder.mkdir(exist_ok=True)
    images = {
        part.label: sparse_file(folder / part.label, part.size, {0: part.label.encode(), part.size - 4: b"last"})
        for part in planned.partitions
        if part.label != "home"
    }
    write_disk(planned, images, folder / "disk.raw", tools=Runner())
    return folder / "disk.raw"


def test_the_partition_table_is_the_one_planned(tmp_path: Path) -> None:
    planned = layout()
    disk = disk_of(tmp_path, planned)
    table = partition_table(disk)
    assert table["label"] == "gpt"
    assert UUID(table["id"]) == planned.uuid
    assert table["firstlba"] * 512 == MIB
    found = [
        (part["start"] * 512, part["size"] * 512, UUID(part["type"]), UUID(part["uuid"]), part["name"])
        for part in table["partitions"]
    ]
    assert found == [(part.offset, part.size, part.type_guid, part.uuid, part.label) for part in planned.partitions]
    assert [part.get("attrs") for part in table["partitions"]] == [None, None, "GUID:59"]


@pytest.mark.parametrize("size", [None, GIB, GIB + 512 * 1024])
def test_sfdisk_finds_nothing_wrong(tmp_path: Path, size: int | None) -> None:
    disk = disk_of(tmp_path, layout(size))
    said = subprocess.run(["sfdisk", "--verify", disk], check=True, capture_output=True, text=True)
    assert "No errors detected" in said.stdout
    assert said.stderr == ""
    if size is not None:
        assert disk.stat().st_size == size


def test_partitions_are_at_their_offsets_and_holes_stay_holes(tmp_path: Path) -> None:
    planned = layout(4 * GIB)
    disk = disk_of(tmp_path, planned)
    with disk.open("rb") as stream:
        for label in ("esp", "root"):
            part = planned.by_label(label)
            stream.seek(part.offset)
            assert stream.read(len(label)) == label.encode()
            stream.seek(part.end - 4)
            assert stream.read(4) == b"last"
    assert disk.stat().st_blocks * 512 < MIB
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "esp", "root"]


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = disk_of(tmp_path / "one", layout()), disk_of(tmp_path / "two", layout())
    assert file_sha256(first) == file_sha256(second)


def test_a_file_system_comes_out_of_the_disk_as_it_went_in(tmp_path: Path) -> None:
    planned = layout()
    root = planned.by_label("root")
    tree, image = make_tree(tmp_path / "tree"), tmp_path / "root.ext4"
    make_ext4(tree, image, ext4_parameters(root.size), measure_tree(tree), tools=Runner())
    write_disk(planned, {"root": image}, tmp_path / "disk.raw", tools=Runner())
    with (tmp_path / "disk.raw").open("rb") as disk:
        disk.seek(root.offset)
        (tmp_path / "taken").write_bytes(disk.read(root.size))
    assert file_sha256(tmp_path / "taken") == file_sha256(image)


def test_an_image_that_is_too_large_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    planned = layout()
    images = {"home": sparse_file(tmp_path / "home", 33 * MIB, {})}
    with pytest.raises(DiskError) as raised:
        write_disk(planned, images, tmp_path / "disk.raw", tools=Runner())
    assert raised.value.code == "DISK_PARTITION_TOO_LARGE"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_folder_that_can_t_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as raised:
        write_disk(layout(), {}, tmp_path / "nowhere" / "disk.raw", tools=Runner())
    assert raised.value.code == "DISK_WRITE_FAILED"
    assert "nowhere" in raised.value.message


def test_the_script_for_sfdisk_is_readable() -> None:
    assert sfdisk_script(layout()).splitlines()[-1] == (
        "start=200704, size=585728, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, "
        f'uuid={IDENTITY.partition("root")}, name="root", attrs="GUID:59"'
    )


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param({}, id="nothing but a hole"),
        pytest.param({0: b"x" * 5000}, id="at the beginning"),
        pytest.param({3 * MIB - 3: b"end"}, id="at the end"),
        pytest.param({4096: b"a" * 4096, MIB: b"b" * 10, 2 * MIB: b"c" * 100_000}, id="in pieces"),
    ],
)
def test_copies_have_the_same_content_and_holes(tmp_path: Path, pieces: dict[int, bytes]) -> None:
    source = sparse_file(tmp_path / "source", 3 * MIB, pieces)
    create_sparse(tmp_path / "copy", 3 * MIB)
    copy_sparse(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= source.stat().st_blocks


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a second file system")
def test_copies_between_file_systems_work(tmp_path: Path) -> None:
    other = Path("/dev/shm") / f"image-composer-test-{os.getpid()}"
    try:
        sparse_file(other, 3 * MIB, {MIB: b"b" * 10_000})
        create_sparse(tmp_path / "copy", 4 * MIB)
        copy_sparse(other, tmp_path / "copy", MIB)
        assert (tmp_path / "copy").read_bytes()[MIB:] == other.read_bytes()
    finally:
        other.unlink()
