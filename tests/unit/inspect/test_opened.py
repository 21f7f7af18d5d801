"""An image is the same in every form in which a build delivers it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from image_composer.disk.identity import Identity
from image_composer.errors import InspectError
from image_composer.formats.base import Stamp
from image_composer.formats.outputs import Wanted, Workshop, write_outputs
from image_composer.inspect.image import inspect_image
from image_composer.inspect.render import render_text
from image_composer.run import Runner
from image_composer.spec.outputs import PARTS, Compression, Output, OutputFormat
from support.installing import installer_parts

MIB = 1024 * 1024
STAMP = Stamp(Identity("e" * 64), 1_700_000_000)

FORMS = [Output(format=name) for name in OutputFormat if name not in PARTS]
FORMS += [Output(format=OutputFormat.RAW, compression=name) for name in Compression if name is not Compression.NONE]
FORMS += [
    Output(format=OutputFormat.VHD, compression=Compression.GZIP),
    Output(format=OutputFormat.VHD_DYNAMIC, compression=Compression.XZ),
    Output(format=OutputFormat.VHDX, compression=Compression.ZSTD),
]


def ident(output: Output) -> str:
    return f"{output.format}-{output.compression}"


def written(image: Path, folder: Path, output: Output) -> Path:
    """Give an image in another form; its name says nothing of it, and is full of what tools take for syntax."""
    file = folder / "image:x?,@@ json:{}"
    parts = installer_parts(folder / "boot") if output.format is OutputFormat.ISO else None
    write_outputs(image, [Wanted(output, file)], Workshop(STAMP, Runner(), folder / "scratch", 2, parts))
    return file


def refused(path: Path) -> InspectError:
    with pytest.raises(InspectError) as caught:
        inspect_image(path, Runner())
    return caught.value


@pytest.mark.parametrize("output", FORMS, ids=ident)
def test_what_is_in_an_image_does_not_depend_on_its_form(image: Path, tmp_path: Path, output: Output) -> None:
    file = written(image, tmp_path, output)
    before = file.read_bytes()
    plain, report = inspect_image(image, Runner()), inspect_image(file, Runner())
    assert (report.file, report.format, report.compression) == (str(file), output.format, output.compression)
    same = {"file": plain.file, "format": plain.format, "compression": plain.compression}
    assert report.model_copy(update=same) == plain
    assert file.read_bytes() == before
    assert f": {output.format}" in render_text(report)


@pytest.mark.parametrize("output", [form for form in FORMS if form != Output(format=OutputFormat.RAW)], ids=ident)
def test_an_image_that_is_cut_off_is_refused_in_every_form(image: Path, tmp_path: Path, output: Output) -> None:
    file = written(image, tmp_path, output)
    os.truncate(file, file.stat().st_size // 2)
    error = refused(file)
    # A raw disk without its end may be read as one that was empty, by QEMU too: then the partition table is missing.
    assert error.code in {"INSPECT_CORRUPTED", "INSPECT_NOT_AN_IMAGE"}
    assert str(file) in error.message


def test_a_vhd_of_another_size_than_it_says_is_damaged(image: Path, tmp_path: Path) -> None:
    file = written(image, tmp_path, Output(format=OutputFormat.VHD))
    file.write_bytes(file.read_bytes()[:MIB] + file.read_bytes()[-512:])
    assert refused(file).code == "INSPECT_CORRUPTED"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"QFI\xfb", "qcow2"),
        (b"vhdxfile", "vhdx"),
        (b"conectix", "vhd-dynamic"),
        (b"KDMV", "vmdk"),
        (b"\x1f\x8b\x08", "decompressed"),
        (b"\xfd7zXZ\0", "decompressed"),
    ],
)
def test_garbage_that_begins_as_a_format_is_damaged(tmp_path: Path, content: bytes, kind: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(content.ljust(MIB, b"\0"))
    error = refused(other)
    assert (error.code, kind in error.message, bool(error.hint)) == ("INSPECT_CORRUPTED", True, True)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"\0" * 0x8001 + b"CD001", "ISO"), (b"# Disk DescriptorFile\n", "vmdk"), (b"BZh", "bzip2")]
)
def test_a_format_that_no_build_delivers_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(content.ljust(MIB, b"\0"))
    error = refused(other)
    assert (error.code, kind in error.message, bool(error.hint)) == ("INSPECT_NOT_AN_IMAGE", True, True)


def test_a_vmdk_can_not_either(tmp_path: Path) -> None:
    create = ["qemu-img", "create", "-q", "-f", "vmdk"]
    subprocess.run([*create, "base.vmdk", "14M"], check=True, cwd=tmp_path)
    subprocess.run([*create, "-b", "base.vmdk", "-F", "vmdk", "thief.vmdk", "14M"], check=True, cwd=tmp_path)
    error = refused(tmp_path / "thief.vmdk")
    assert (error.code, "another file" in error.message) == ("INSPECT_NOT_AN_IMAGE", True)


@pytest.mark.parametrize("options", [["-b", "image.raw", "-F", "raw"], ["-o", "data_file=image.raw,data_file_raw=on"]])
def test_an_image_can_not_have_us_read_another_file(image: Path, tmp_path: Path, options: list[str]) -> None:
    """One that names a backing file or a data file would bring that file's content into the report."""
    (tmp_path / "image.raw").write_bytes(image.read_bytes())
    thief = tmp_path / "thief.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, thief, "14M"], check=True, cwd=tmp_path)
    error = refused(thief)
    assert (error.code, "another file" in error.message) == ("INSPECT_NOT_AN_IMAGE", True)
