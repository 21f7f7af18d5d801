from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.disk.gpt_types import ROOT_TYPES
from image_composer.errors import InspectError
from image_composer.inspect.image import inspect_image, installed_packages, os_release
from image_composer.inspect.model import ImageReport, PackageFound, UkiFound
from image_composer.inspect.render import render_text
from image_composer.inspect.table import architecture_of
from image_composer.run import Runner
from image_composer.spec.image import Architecture
from support.readers import made

MIB = 1024 * 1024
ROOT_START, ROOT_SIZE = 5 * MIB, 8 * MIB
"""Where the root of the image is."""


def refused(path: Path) -> InspectError:
    with pytest.raises(InspectError) as caught:
        inspect_image(path, Runner())
    return caught.value


def copy_of(image: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(image, tmp_path / "copy.raw"))


def test_a_report_says_what_the_image_holds(image: Path) -> None:
    report = inspect_image(image, Runner())
    assert (report.partition_table, report.disk_id) == ("gpt", "11111111-2222-3333-4444-555555555555")
    assert [(part.number, part.label, part.role, part.filesystem, part.start) for part in report.partitions] == [
        (1, "esp", "esp", "vfat", 1 * MIB),
        (2, "root", "root", "ext4", 5 * MIB),
    ]
    assert report.os_release == {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "debian"}
    assert report.hostname == "edge"
    assert report.fstab == ["LABEL=root / ext4 defaults 0 1"]
    assert report.kernel_version == "6.1.0-1-amd64"
    assert report.ukis == [
        UkiFound(
            path="/EFI/Linux/edge 1.efi",
            kernel_version="6.1.0-1-amd64",
            command_line="root=LABEL=root console=ttyS0",
        )
    ]
    assert report.boot_files == ["/EFI/BOOT/BOOTX64.EFI", "/EFI/Linux/edge 1.efi"]
    assert report.packages == [
        PackageFound(name="adduser", version="3.134", architecture="all"),
        PackageFound(name="openssh-server", version="1:9.2p1-2+deb12u5", architecture="amd64"),
    ]


@pytest.mark.parametrize("kind", ["squashfs-xz", "erofs-lz4"])
def test_a_root_that_is_only_read_tells_as_much(image: Path, tmp_path: Path, kind: str) -> None:
    copy = copy_of(image, tmp_path)
    root = made(kind, image.parent / "root", tmp_path / "root").read_bytes()
    with copy.open("r+b") as stream:
        stream.seek(ROOT_START)
        stream.write(root.ljust(ROOT_SIZE, b"\0"))
    known, told = (inspect_image(path, Runner()) for path in (image, copy))
    assert told.partitions[1].filesystem == kind.partition("-")[0]
    assert told.model_copy(update={"file": known.file, "partitions": known.partitions}) == known


def test_a_report_survives_json(image: Path) -> None:
    report = inspect_image(image, Runner())
    assert ImageReport.model_validate_json(report.model_dump_json()) == report


def test_a_report_can_be_read_by_people(image: Path) -> None:
    text = render_text(inspect_image(image, Runner()))
    for said in ("14.0 MiB", "gpt", "Debian GNU/Linux 12 (bookworm)", "6.1.0-1-amd64", "openssh-server"):
        assert said in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_an_image_can_not_steer_the_terminal(image: Path) -> None:
    report = inspect_image(image, Runner()).model_copy(update={"hostname": "\x1b]0;owned\x07\n"})
    assert "\x1b" not in render_text(report)
    assert "\x07" not in render_text(report)


def test_the_image_is_not_written_to(image: Path) -> None:
    before = image.read_bytes()
    inspect_image(image, Runner())
    assert image.read_bytes() == before


@pytest.mark.parametrize("size", [0, 1, 511, 512, 4096, 2 * MIB])
def test_garbage_is_not_an_image(tmp_path: Path, size: int) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xa5" * size)
    assert refused(garbage).code == "INSPECT_NOT_AN_IMAGE"


@pytest.mark.parametrize("size", [13 * MIB + MIB // 2, 9 * MIB, 2 * MIB])
def test_an_image_that_is_cut_off_is_damaged(image: Path, tmp_path: Path, size: int) -> None:
    cut = copy_of(image, tmp_path)
    os.truncate(cut, size)
    assert refused(cut).code == "INSPECT_CORRUPTED"


@pytest.mark.parametrize(
    ("start", "size"),
    [
        pytest.param(5 * MIB + 4096, 2 * MIB, id="group descriptors and inodes"),
        pytest.param(1 * MIB + 512, 4 * MIB - 512, id="the FAT and all files"),
    ],
)
def test_a_file_system_with_overwritten_parts_is_damaged(image: Path, tmp_path: Path, start: int, size: int) -> None:
    damaged = copy_of(image, tmp_path)
    with damaged.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xa5" * size)
    assert refused(damaged).code == "INSPECT_CORRUPTED"


def test_an_image_without_a_root_that_can_be_read_still_has_a_report(image: Path, tmp_path: Path) -> None:
    blank = copy_of(image, tmp_path)
    with blank.open("r+b") as stream:
        for start, size in ((1 * MIB, MIB), (5 * MIB, MIB)):
            stream.seek(start)
            stream.write(bytes(size))
    report = inspect_image(blank, Runner())
    assert [part.filesystem for part in report.partitions] == [None, None]
    assert (report.os_release, report.packages, report.kernel_version) == ({}, [], None)
    assert "no root" in render_text(report)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "missing").code == "INSPECT_UNREADABLE"
    assert refused(tmp_path).code == "INSPECT_NOT_AN_IMAGE"
    assert refused(tmp_path / "pipe").code == "INSPECT_NOT_AN_IMAGE"


def test_a_package_that_is_only_half_there_is_not_installed() -> None:
    stanzas = ["install ok installed", "install ok half-configured", "deinstall ok config-files", "", "installed"]
    text = "\n\n".join(f"Package: p{number}\nStatus: {status}" for number, status in enumerate(stanzas))
    assert [package.name for package in installed_packages(text)] == ["p0", "p4"]


@given(st.text())
def test_any_text_can_be_an_os_release(text: str) -> None:
    assert all("=" not in name for name in os_release(text))


def test_a_disk_is_for_the_architecture_that_the_type_of_its_root_names(image: Path, tmp_path: Path) -> None:
    assert architecture_of(image, Runner()) is Architecture.X86_64
    copy = copy_of(image, tmp_path)
    guid = str(ROOT_TYPES[Architecture.AARCH64])
    subprocess.run(["sfdisk", "--part-type", copy, "2", guid], check=True, capture_output=True, timeout=60)
    assert architecture_of(copy, Runner()) is Architecture.AARCH64
    (tmp_path / "empty.raw").write_bytes(bytes(MIB))
    assert architecture_of(tmp_path / "empty.raw", Runner()) is Architecture.X86_64
