import itertools
import json
import random
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from image_composer.digest import file_sha256
from image_composer.disk.identity import Identity
from image_composer.disk.sparse import create_sparse
from image_composer.errors import DiskError, ToolError
from image_composer.formats.base import Stamp
from image_composer.formats.outputs import WRITERS, Wanted, Workshop, write_outputs
from image_composer.run import Runner
from image_composer.settings import MIB
from image_composer.spec.outputs import PARTS, Compression, Output, OutputFormat
from image_composer.spec.rules import COMPRESSED_INSIDE
from support.disks import EPOCH, IDENTITY, partition_table, say
from support.installing import installer_parts

STAMP = Stamp(IDENTITY, EPOCH)

QEMU_DRIVERS = {
    OutputFormat.RAW: "raw",
    OutputFormat.QCOW2: "qcow2",
    OutputFormat.VHD: "vpc",
    OutputFormat.VHD_DYNAMIC: "vpc",
    OutputFormat.VHDX: "vhdx",
    OutputFormat.VMDK: "vmdk",
}

UNPACKERS = {Compression.ZSTD: "zstd", Compression.XZ: "xz", Compression.GZIP: "gzip"}

ALL = [
    Output(format=name, compression=compression)
    for name, compression in itertools.product((*QEMU_DRIVERS, OutputFormat.ISO), Compression)
    if compression is Compression.NONE or name not in COMPRESSED_INSIDE
]


def ident(output: Output) -> str:
    return f"{output.format}-{output.compression}"


def raw_disk(file: Path, size: int = 20 * MIB) -> Path:
    """Make a disk with holes, with content that can be compressed, and with content that can't."""
    file.parent.mkdir(parents=True, exist_ok=True)
    create_sparse(file, size)
    with file.open("r+b") as stream:
        stream.write(b"boot".ljust(512, b"\0"))
        stream.seek(5 * MIB + 4096)
        stream.write(b"".join(number.to_bytes(4) for number in range(100_000)))
        stream.seek(9 * MIB)
        stream.write(random.Random(1).randbytes(MIB // 4))
        stream.seek(size - 512)
        stream.write(b"end".ljust(512, b"\0"))
    return file


def write(
    raw: Path,
    *outputs: Output,
    folder: Path | None = None,
    jobs: int = 2,
    stamp: Stamp = STAMP,
    parts: Mapping[OutputFormat, Path] | None = None,
) -> list[Path]:
    """Write outputs beside a disk, or into a folder."""
    place = folder or raw.parent / "images"
    place.mkdir(parents=True, exist_ok=True)
    wanted = [Wanted(output, place / f"edge-{ident(output)}") for output in outputs]
    boot = raw.parent / "boot"
    installer = installer_parts(boot) if any(output.format is OutputFormat.ISO for output in outputs) else None
    try:
        write_outputs(raw, wanted, Workshop(stamp, Runner(), raw.parent / "scratch", jobs, installer), parts)
    finally:
        shutil.rmtree(boot, ignore_errors=True)
    return [item.file for item in wanted]


def unpacked(file: Path, output: Output) -> Path:
    """Give the file that is in a compressed one, as the program of that compression unpacks it."""
    if output.compression is Compression.NONE:
        return file
    plain = file.with_name(f"{file.name}.plain")
    with plain.open("xb") as stream:
        subprocess.run([UNPACKERS[output.compression], "-d", "-c", file], stdout=stream, check=True)
    return plain


def as_raw(file: Path, output: Output) -> Path:
    """Give the disk in an output, as QEMU reads it, or xorriso."""
    raw = file.with_name(f"{file.name}.back")
    if output.format is OutputFormat.ISO:
        packed = file.with_name(f"{file.name}.zst")
        say("xorriso", "-osirrox", "on", "-indev", file, "-extract", "/image/disk.zst", packed)
        say("zstd", "-d", "-q", packed, "-o", raw)
        return raw
    say("qemu-img", "convert", "-f", QEMU_DRIVERS[output.format], "-O", "raw", unpacked(file, output), raw)
    return raw


def information(file: Path, output: Output) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        say("qemu-img", "info", "--output=json", "-f", QEMU_DRIVERS[output.format], file)
    )
    return found


def test_every_format_has_a_writer() -> None:
    assert {*WRITERS, OutputFormat.ISO} == set(OutputFormat) == {*QEMU_DRIVERS, OutputFormat.ISO} | PARTS


@pytest.mark.parametrize("output", ALL, ids=ident)
def test_every_output_holds_the_disk(tmp_path: Path, output: Output) -> None:
    disk = raw_disk(tmp_path / "disk.raw")
    [written] = write(disk, output)
    assert file_sha256(as_raw(written, output)) == file_sha256(disk)


def test_all_outputs_of_equal_disks_are_equal_whenever_and_wherever_they_are_made(tmp_path: Path) -> None:
    """The second disk has no holes, is made on one processor, and a second later, which some formats would count."""
    repeatable = [output for output in ALL if output.format is not OutputFormat.VMDK]  # see docs/formats.md
    one = write(raw_disk(tmp_path / "one" / "disk.raw"), *repeatable, jobs=3)
    full = raw_disk(tmp_path / "two" / "holes.raw")
    say("cp", "--sparse=never", full, tmp_path / "two" / "full.raw")
    began = time.time()
    while int(time.time()) == int(began):
        time.sleep(0.05)
    two = write(tmp_path / "two" / "full.raw", *repeatable, jobs=1)
    assert {file.name: file_sha256(file) for file in one} == {file.name: file_sha256(file) for file in two}


@pytest.mark.parametrize(
    "name", [OutputFormat.VHD, OutputFormat.VHD_DYNAMIC, OutputFormat.VHDX, OutputFormat.VMDK], ids=str
)
def test_disks_of_two_images_have_different_ids(tmp_path: Path, name: OutputFormat) -> None:
    disk, output = raw_disk(tmp_path / "disk.raw"), Output(format=name)
    [one] = write(disk, output)
    [other] = write(disk, output, folder=tmp_path / "other", stamp=Stamp(Identity("f" * 64), EPOCH))
    assert file_sha256(one) != file_sha256(other)
    assert file_sha256(as_raw(one, output)) == file_sha256(as_raw(other, output))


def test_an_uncompressed_disk_is_not_copied(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path / "disk.raw")
    assert write(disk, Output(format=OutputFormat.RAW))[0].samefile(disk)


def test_parts_of_the_disk_are_delivered_as_they_are(tmp_path: Path) -> None:
    disk, root, kernel = (
        raw_disk(tmp_path / name, size * MIB) for name, size in (("disk", 30), ("root", 20), ("k", 12))
    )
    outputs = [
        Output(format=OutputFormat.RAW),
        Output(format=OutputFormat.ROOT, compression=Compression.XZ),
        Output(format=OutputFormat.ROOT),
        Output(format=OutputFormat.UKI, compression=Compression.GZIP),
    ]
    parts = {OutputFormat.ROOT: root, OutputFormat.UKI: kernel}
    written = write(disk, *outputs, parts=parts)
    whence = [disk, root, root, kernel]
    for file, output, source in zip(written, outputs, whence, strict=True):
        assert file_sha256(unpacked(file, output)) == file_sha256(source)
    assert written[2].samefile(root)


def test_holes_stay_holes(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path / "disk.raw", 512 * MIB)
    [fixed] = write(disk, Output(format=OutputFormat.VHD))
    assert fixed.stat().st_size == 512 * MIB + 512
    assert fixed.stat().st_blocks * 512 < 10 * MIB


def test_what_is_not_asked_for_is_not_there(tmp_path: Path) -> None:
    """Neither the uncompressed form of what is wanted compressed, nor the raw disk, nor what was being made."""
    disk = raw_disk(tmp_path / "disk.raw")
    outputs = [
        Output(format=OutputFormat.VHDX, compression=Compression.ZSTD),
        Output(format=OutputFormat.QCOW2),
    ]
    written = write(disk, *outputs)
    assert sorted(disk.parent.joinpath("images").iterdir()) == sorted(written)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "images"]


@pytest.mark.parametrize("output", ALL, ids=ident)
def test_a_file_that_is_there_already_is_replaced(tmp_path: Path, output: Output) -> None:
    disk = raw_disk(tmp_path / "disk.raw")
    [written] = write(disk, output)
    fresh = file_sha256(written)
    written.unlink()
    written.write_bytes(b"of an earlier build")
    (tmp_path / "scratch" / "0").mkdir(parents=True)
    (tmp_path / "scratch" / "0" / written.name).write_bytes(b"of a build that was killed")
    write(disk, output)
    assert file_sha256(written) == fresh


def test_a_place_that_can_t_be_written_is_explained(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path / "disk.raw")
    wanted = [Wanted(Output(format=OutputFormat.RAW), tmp_path / "nowhere" / "edge.raw")]
    with pytest.raises(DiskError) as raised:
        write_outputs(disk, wanted, Workshop(STAMP, Runner(), tmp_path / "scratch", 2))
    assert raised.value.code == "DISK_WRITE_FAILED"
    assert [path.name for path in tmp_path.iterdir()] == ["disk.raw"]


def test_a_conversion_that_fails_says_what_was_run_and_leaves_nothing(tmp_path: Path) -> None:
    output = Output(format=OutputFormat.QCOW2)
    wanted = [Wanted(output, tmp_path / "edge.qcow2"), Wanted(Output(format=OutputFormat.VHDX), tmp_path / "edge.vhdx")]
    with pytest.raises(ToolError, match="qemu-img convert"):
        write_outputs(tmp_path / "absent.raw", wanted, Workshop(STAMP, Runner(), tmp_path / "scratch", 2))
    assert list(tmp_path.iterdir()) == []


def test_one_thread_and_three_compress_to_the_same(tmp_path: Path) -> None:
    """Of a disk with more blocks than one for each of them."""
    disk = raw_disk(tmp_path / "disk.raw", 80 * MIB)
    outputs = [Output(format=OutputFormat.RAW, compression=name) for name in UNPACKERS]
    one = write(disk, *outputs, folder=tmp_path / "one", jobs=1)
    three = write(disk, *outputs, folder=tmp_path / "three", jobs=3)
    assert list(map(file_sha256, one)) == list(map(file_sha256, three))


def test_compressed_disks_hold_neither_name_nor_time(tmp_path: Path) -> None:
    disk = raw_disk(tmp_path / "secret-name.raw")
    for name in UNPACKERS:
        [written] = write(disk, Output(format=OutputFormat.RAW, compression=name))
        assert b"secret-name" not in written.read_bytes()
        assert written.stat().st_size < MIB
        if name is Compression.GZIP:
            assert written.read_bytes()[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_a_qcow2_passes_qemu_s_check_and_is_compressed(tmp_path: Path) -> None:
    output = Output(format=OutputFormat.QCOW2)
    [written] = write(raw_disk(tmp_path / "disk.raw"), output)
    report = json.loads(say("qemu-img", "check", "--output=json", written))
    assert (report["check-errors"], report.get("corruptions", 0), report.get("leaks", 0)) == (0, 0, 0)
    assert report["compressed-clusters"] > 0
    assert information(written, output)["format-specific"]["data"]["compression-type"] == "zstd"


def test_a_vhdx_passes_qemu_s_check(tmp_path: Path) -> None:
    [written] = write(raw_disk(tmp_path / "disk.raw"), Output(format=OutputFormat.VHDX))
    report = json.loads(say("qemu-img", "check", "--output=json", written))
    assert (report["check-errors"], report.get("corruptions", 0)) == (0, 0)


def test_a_vmdk_is_a_stream_that_knows_itself_by_its_published_name(tmp_path: Path) -> None:
    output = Output(format=OutputFormat.VMDK)
    [written] = write(raw_disk(tmp_path / "disk.raw"), output)
    assert information(written, output)["format-specific"]["data"]["create-type"] == "streamOptimized"
    head = written.read_bytes()[:4096]
    assert b'SPARSE "edge-vmdk-none"' in head
    assert b'ddb.adapterType = "lsilogic"' in head


def test_what_is_delivered_compressed_is_what_an_installer_holds(tmp_path: Path) -> None:
    zstd, iso = Output(format=OutputFormat.RAW, compression=Compression.ZSTD), Output(format=OutputFormat.ISO)
    packed, medium = write(raw_disk(tmp_path / "disk.raw"), zstd, iso)
    assert packed.read_bytes() in medium.read_bytes()


def test_an_installer_starts_on_uefi_and_on_a_bios_from_a_cd_and_from_a_stick(tmp_path: Path) -> None:
    [medium] = write(raw_disk(tmp_path / "disk.raw"), Output(format=OutputFormat.ISO))
    told = say("xorriso", "-indev", medium, "-report_el_torito", "plain", "-report_system_area", "plain")
    boots = [line.split(":")[1].split()[1] for line in told.splitlines() if line.startswith("El Torito boot img :")]
    assert boots == ["BIOS", "UEFI"]
    assert "grub2-mbr" in told
    partitions = {partition["type"]: partition["start"] for partition in partition_table(medium)["partitions"]}
    start = partitions["C12A7328-F81F-11D2-BA4B-00A0C93EC93B"]
    assert "BOOTX64.EFI" in say("mdir", "-b", "-i", f"{medium}@@{start * 512}", "::/EFI/BOOT")
