"""All outputs of one build, side by side: each format once, and compressed from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from image_composer.disk.sparse import explained
from image_composer.disk.tools import ToolRunner
from image_composer.formats.base import FormatWriter, Stamp
from image_composer.formats.compress import compress
from image_composer.formats.iso.medium import InstallerParts, write_medium, write_starters
from image_composer.formats.qcow2 import write_qcow2
from image_composer.formats.raw import write_raw
from image_composer.formats.vhd import write_vhd, write_vhd_dynamic
from image_composer.formats.vhdx import write_vhdx
from image_composer.formats.vmdk import write_vmdk
from image_composer.spec.outputs import PARTS, Compression, Output, OutputFormat

WRITERS: Mapping[OutputFormat, FormatWriter] = {
    OutputFormat.RAW: write_raw,
    OutputFormat.QCOW2: write_qcow2,
    OutputFormat.VHD: write_vhd,
    OutputFormat.VHD_DYNAMIC: write_vhd_dynamic,
    OutputFormat.VHDX: write_vhdx,
    OutputFormat.VMDK: write_vmdk,
    **dict.fromkeys(PARTS, write_raw),
}
"""The writer of each format that is made of the raw disk alone; an ISO is made of the compressed one and more."""

AS_IT_IS = frozenset({OutputFormat.RAW, *PARTS})
"""Formats that are what they are made of: it is compressed from where it lies."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output, and the file that it becomes. The file appears complete or not at all, in place of any there."""

    output: Output
    file: Path


@dataclass(frozen=True, slots=True)
class Workshop:
    """What outputs are made with."""

    stamp: Stamp
    tools: ToolRunner
    scratch: Path
    """Folder for what is not finished, on the file system of the outputs; made, emptied and removed here."""

    jobs: int
    """How many processors may be used."""

    installer: InstallerParts | None = None
    """What an installer is made of; there when one is wanted."""


def write_outputs(
    raw: Path, wanted: Sequence[Wanted], workshop: Workshop, parts: Mapping[OutputFormat, Path] | None = None
) -> None:
    """Write all outputs.

    The raw disk is never copied to be compressed, and compressed by zstd once, for an output and an installer; what is
    made in another format to be compressed alone isn't left behind.

    Args:
        raw: the raw disk; not to be written to afterwards.
        wanted: the outputs.
        parts: files that are parts of the disk, by the format that they are delivered as; not to be written to either.
        workshop: what they are made with.

    Raises:
        DiskError: DISK_WRITE_FAILED.
        ToolError: a program is missing or failed.
    """
    with explained(workshop.scratch):
        _emptied(workshop.scratch)
        try:
            sources = {item.output.format: (parts or {}).get(item.output.format, raw) for item in wanted}
            _write_side_by_side(raw, sources, wanted, workshop)
        finally:
            shutil.rmtree(workshop.scratch)


def _write_side_by_side(
    raw: Path, sources: Mapping[OutputFormat, Path], wanted: Sequence[Wanted], workshop: Workshop
) -> None:
    """Begin with the formats, so that what waits for one of them never keeps a thread from it."""
    places = {item.output.format: item.file for item in wanted if item.output.compression is Compression.NONE}
    with ThreadPoolExecutor(max_workers=workshop.jobs) as pool:
        plain: dict[OutputFormat, Future[Path]] = {}
        for number, (name, source) in enumerate(sources.items()):
            if name is OutputFormat.ISO:
                continue
            if name in AS_IT_IS and name not in places:
                plain[name] = Future()
                plain[name].set_result(source)
                continue
            place = places.get(name, workshop.scratch / f"disk.{name}")
            plain[name] = pool.submit(_write_format, name, source, place, workshop, number)
        packed = {
            item.output: pool.submit(_write_compressed, plain[item.output.format], item, workshop, len(plain) + number)
            for number, item in enumerate(wanted)
            if item.output.compression is not Compression.NONE
        }
        isos = [
            pool.submit(_write_iso, raw, _packed_raw(raw, packed, workshop, pool), item, workshop)
            for item in wanted
            if item.output.format is OutputFormat.ISO
        ]
        try:
            for future in (*plain.values(), *packed.values(), *isos):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _write_format(name: OutputFormat, source: Path, place: Path, workshop: Workshop, number: int) -> Path:
    def write(file: Path) -> None:
        WRITERS[name](source, file, workshop.stamp, tools=workshop.tools)

    return _whole(place, workshop.scratch / str(number), write)


def _write_compressed(plain: Future[Path], item: Wanted, workshop: Workshop, number: int | str) -> Path:
    source = plain.result()

    def write(file: Path) -> None:
        compress(source, file, item.output.compression, tools=workshop.tools, threads=workshop.jobs)

    return _whole(item.file, workshop.scratch / str(number), write)


PACKED_RAW = Output(format=OutputFormat.RAW, compression=Compression.ZSTD)
"""What an installer holds."""


def _packed_raw(
    raw: Path, packed: Mapping[Output, Future[Path]], workshop: Workshop, pool: ThreadPoolExecutor
) -> Future[Path]:
    """Give the compressed raw disk: the one that is delivered, or one of our own."""
    if PACKED_RAW in packed:
        return packed[PACKED_RAW]
    plain: Future[Path] = Future()
    plain.set_result(raw)
    own = Wanted(PACKED_RAW, workshop.scratch / "disk.zst")
    return pool.submit(_write_compressed, plain, own, workshop, "packed")


def _write_iso(raw: Path, packed: Future[Path], item: Wanted, workshop: Workshop) -> Path:
    """Write an installer. What it waits for was begun before it."""
    assert workshop.installer is not None, "the parts of an installer are given when one is wanted"
    folder = workshop.scratch / "installer"
    folder.mkdir()
    tools, stamp = workshop.tools, workshop.stamp
    disk = packed.result()
    write_starters(folder, workshop.installer, raw, disk, stamp, tools=tools)

    def write(file: Path) -> None:
        write_medium(folder, disk, file, stamp, tools=tools)

    return _whole(item.file, workshop.scratch / "iso", write)


def _whole(place: Path, folder: Path, write: Callable[[Path], None]) -> Path:
    """Have a file written in a folder of its own, under its own name, and moved to its place when it is complete."""
    folder.mkdir()
    unfinished = folder / place.name
    with explained(place):
        write(unfinished)
        unfinished.replace(place)
    shutil.rmtree(folder)
    return place


def _emptied(folder: Path) -> None:
    """Remove what a build that was killed left in a folder."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
