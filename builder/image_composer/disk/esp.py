"""Makes a FAT32 file system, such as the EFI system partition, from files: no mount, equal files give equal bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from image_composer.disk.filesystems import MINIMUM_FILESYSTEM
from image_composer.disk.layout import SECTOR, exact_size
from image_composer.disk.rounding import divide_up, round_up
from image_composer.disk.sparse import create_sparse, explained
from image_composer.disk.tools import ToolRunner
from image_composer.errors import DiskError, DiskTooSmallError, ToolError
from image_composer.settings import GIB, MIB
from image_composer.spec.disk import Filesystem

LARGEST_FILE = 4 * GIB - 1
"""FAT keeps the size of a file in 32 bits."""

_RESERVED_SECTORS = 32
_ENTRY = 32
"""Bytes of a folder's entry."""
_CHARACTERS_PER_ENTRY = 13
"""Characters of a long name that one entry holds."""

_MTOOLS_ENVIRONMENT: Mapping[str, str] = {
    # What mtools.conf of the host could say, set to what we build with; the environment wins.
    "MTOOLSRC": "/nonexistent",
    "MTOOLS_SKIP_CHECK": "0",
    "MTOOLS_FAT_COMPATIBILITY": "0",
    "MTOOLS_LOWER_CASE": "0",
    "MTOOLS_NO_VFAT": "0",
    "MTOOLS_DOTTED_DIR": "0",
    "MTOOLS_NAME_NUMERIC_TAIL": "1",
}


@dataclass(frozen=True, slots=True)
class EspFile:
    """A file of the FAT file system."""

    destination: PurePosixPath
    """Path from the top of the file system, with or without a slash before it."""

    source: Path | bytes
    """Where its content is, or the content."""

    room: int = 0
    """Bytes that it may still grow by, for which the file system has room."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the folders that it lies in, and its own."""
        return tuple(part for part in self.destination.parts if part != "/")

    def size(self) -> int:
        """Give the bytes that it may come to."""
        content = len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size
        return content + self.room


@dataclass(frozen=True, slots=True)
class FatParameters:
    """What a FAT is made with beside its content."""

    size: int
    uuid: str
    """As fstab spells it, `ABCD-1234`."""

    label: str
    epoch: int
    """Seconds since 1970: the time of everything in it."""


def cluster_size(size: int) -> int:
    """Give the bytes of a cluster in a FAT32 of some size.

    Below 260 MiB one sector, or there would be too few clusters for a FAT32; the larger ones keep the table short.
    """
    if size < 260 * MIB:
        return SECTOR
    return 4096 if size < 8 * GIB else 32768


def size_needed(files: Sequence[EspFile]) -> int:
    """Give the least bytes, in whole MiB, of a FAT32 that holds the files.

    Raises:
        DiskError: DISK_FILE_TOO_LARGE or DISK_FILE_UNREADABLE.
    """
    sizes = {file.parts: _checked_size(file) for file in files}
    size = MINIMUM_FILESYSTEM[Filesystem.VFAT]
    while (room := _data_bytes(size)) < (wanted := _content_bytes(sizes, cluster_size(size))):
        size += round_up(wanted - room, MIB)
    return size


def make_fat(files: Sequence[EspFile], image: Path, parameters: FatParameters, *, tools: ToolRunner) -> None:
    """Make a FAT32 that holds some files.

    Args:
        files: in any order; folders come by themselves.
        image: file to make, replaced if there.
        parameters: size, id, label and time.
        tools: runs the programs.

    Raises:
        DiskTooSmallError: DISK_TOO_SMALL, the files don't fit.
        DiskError: DISK_FILE_UNREADABLE, DISK_FILE_TOO_LARGE or DISK_WRITE_FAILED.
        ToolError: a program is missing or failed.
    """
    needed = size_needed(files)
    if parameters.size < needed:
        raise _too_small(parameters, needed)
    create_sparse(image, parameters.size)
    # mkfs.vfat forgets a serial number that comes before --invariant.
    serial = parameters.uuid.replace("-", "")
    geometry = ["-F", "32", "-S", str(SECTOR), "-s", str(cluster_size(parameters.size) // SECTOR)]
    tools.run(["mkfs.vfat", *geometry, "-n", parameters.label, "--invariant", "-i", serial, image])
    with explained(image), tempfile.TemporaryDirectory(dir=image.parent, prefix=f"{image.name}.") as staging:
        try:
            _copy_files(files, image, Path(staging), parameters.epoch, tools)
        except ToolError as error:
            if "Disk full" in error.message:
                raise _too_small(parameters, needed) from error
            raise


def _copy_files(files: Sequence[EspFile], image: Path, staging: Path, epoch: int, tools: ToolRunner) -> None:
    environment = {**_MTOOLS_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(epoch)}
    folders = _folders(file.parts for file in files)
    if folders:
        tools.run(["mmd", "-i", image, *(_mtools_path(folder) for folder in folders)], env=environment)
    by_folder = groupby(sorted(files, key=lambda file: (file.parts[:-1], file.parts[-1])), lambda file: file.parts[:-1])
    for number, (folder, members) in enumerate(by_folder):
        # mcopy gives a file the name of its source, so the sources get the right names; it follows the links.
        stage = staging / str(number)
        stage.mkdir()
        staged = [_staged(file, stage) for file in members]
        target = _mtools_path(folder) + ("/" if folder else "")
        tools.run(["mcopy", "-i", image, *staged, target], env=environment)


def _staged(file: EspFile, folder: Path) -> Path:
    path = folder / file.parts[-1]
    if isinstance(file.source, bytes):
        path.write_bytes(file.source)
    else:
        path.symlink_to(file.source.absolute())
    return path


def _mtools_path(parts: tuple[str, ...]) -> str:
    return "::" + "/".join(parts)


def _folders(paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Give every folder that files lie in, each after the one it lies in."""
    return sorted({path[:depth] for path in paths for depth in range(1, len(path))})


def _checked_size(file: EspFile) -> int:
    try:
        size = file.size()
    except OSError as error:
        raise DiskError("DISK_FILE_UNREADABLE", f"{file.source!s} can't be read: {error.strerror}") from error
    if size > LARGEST_FILE:
        raise DiskError(
            "DISK_FILE_TOO_LARGE", f"{file.destination} has {size} bytes; a file on a FAT has less than 4 GiB"
        )
    return size


def _data_bytes(size: int) -> int:
    """Give the bytes of all clusters: what the two tables, as mkfs.vfat sizes them, leave over."""
    cluster = cluster_size(size)
    sectors = size // SECTOR - _RESERVED_SECTORS
    # Each cluster has an entry of 4 bytes in both tables, and the tables are whole sectors, aligned to a cluster.
    clusters = sectors * SECTOR // (cluster + 8) - 3
    return clusters * cluster


def _content_bytes(sizes: Mapping[tuple[str, ...], int], cluster: int) -> int:
    folders = _folders(sizes)
    entries = dict.fromkeys(folders, 2)  # . and ..
    entries[()] = 1  # the label
    for path in [*sizes, *folders]:
        entries[path[:-1]] += 1 + divide_up(len(path[-1]), _CHARACTERS_PER_ENTRY)
    content = sum(round_up(size, cluster) for size in sizes.values())
    return content + sum(round_up(count * _ENTRY, cluster) for count in entries.values())


def _too_small(parameters: FatParameters, needed: int) -> DiskTooSmallError:
    return DiskTooSmallError(
        "DISK_TOO_SMALL",
        f"the partition {parameters.label} has {exact_size(parameters.size)}, but its files need {exact_size(needed)}",
        hint="give the partition a larger size",
    )
