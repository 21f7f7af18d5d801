"""Opens an image in whatever form it is delivered, and gives its raw disk.

A fixed VHD is read where it is. Everything else is unpacked or converted into a temporary file, which takes only what
is in the image; of an installer ISO it is the disk that it holds.
"""

from __future__ import annotations

import gzip
import json
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from image_composer.errors import InspectError, ToolError
from image_composer.formats.vhd import FOOTER_SIZE, fixed_disk_size
from image_composer.inspect.iso import INSTALLED_DISK, find_file, is_whole
from image_composer.inspect.magic import SNIFFED_SIZE, container
from image_composer.inspect.raw import RawImage, corrupted, not_an_image, open_raw, unreadable
from image_composer.run import Runner
from image_composer.settings import MIB
from image_composer.spec.outputs import Compression, OutputFormat

QEMU_DRIVERS: Mapping[str, str] = {
    OutputFormat.QCOW2: "qcow2",
    OutputFormat.VHD_DYNAMIC: "vpc",
    OutputFormat.VHDX: "vhdx",
    OutputFormat.VMDK: "vmdk",
}
"""QEMU's name of each format that it converts for us."""

_CHUNK = 1 * MIB


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image, and the form in which it was given."""

    disk: RawImage
    format: str
    compression: str


@contextmanager
def open_image(path: Path, runner: Runner) -> Iterator[OpenedImage]:
    """Open an image for reading.

    Raises:
        InspectError: INSPECT_UNREADABLE, INSPECT_NOT_AN_IMAGE or INSPECT_CORRUPTED.
        ToolError: TOOL_MISSING or TOOL_DISK_FULL.
    """
    with ExitStack() as stack:
        given = stack.enter_context(open_raw(path, runner))
        compression = _kind(given)
        if compression in _UNPACKERS:
            given = stack.enter_context(_made(given, _UNPACKERS[compression]))
        else:
            compression = Compression.NONE
        kind = _kind(given)
        if kind == OutputFormat.ISO:
            given = stack.enter_context(_made(given, _take_installed))
            given = stack.enter_context(_made(given, _unpack_zstd))
        elif kind in QEMU_DRIVERS:
            given = stack.enter_context(_made(given, _Conversion(kind)))
        elif kind == OutputFormat.VHD:
            given = replace(given, size=given.size - FOOTER_SIZE)
        elif kind != OutputFormat.RAW:
            raise not_an_image(path, f"it looks like {kind}")
        yield OpenedImage(given, kind, compression)


def _kind(image: RawImage) -> str:
    """Say what a file is by its beginning; a fixed VHD shows itself only at its end."""
    kind = container(image.read(0, SNIFFED_SIZE))
    if kind is not None:
        return kind
    size = fixed_disk_size(image.read(max(0, image.size - FOOTER_SIZE), FOOTER_SIZE))
    if size is None:
        return OutputFormat.RAW
    if size != image.size - FOOTER_SIZE:
        raise corrupted(image.path, "it is a VHD of another size than its footer says")
    return OutputFormat.VHD


@contextmanager
def _made(given: RawImage, make: Callable[[RawImage, Path], None]) -> Iterator[RawImage]:
    """Give what is made of an image, under the name of what was given."""
    with tempfile.TemporaryDirectory(prefix="inspect-") as folder:
        plain = Path(folder) / "image"
        make(given, plain)
        with open_raw(plain, given.runner) as made:
            yield replace(made, path=given.path)


def _unpack_zstd(given: RawImage, plain: Path) -> None:
    try:
        # -f: our descriptor is a link to the file, which zstd doesn't follow otherwise.
        argv: list[str | Path] = ["zstd", "-d", "-q", "-f", "--sparse", "-o", plain, "--", given.name]
        given.runner.run(argv, shown_as=f"zstd -d {given.path}")
    except ToolError as error:
        raise _explained(error, given, "it can't be decompressed") from error


def _unpack_gzip(given: RawImage, plain: Path) -> None:
    _unpack(given, plain, cast("Callable[[BinaryIO], BinaryIO]", gzip.open))


def _unpack_xz(given: RawImage, plain: Path) -> None:
    _unpack(given, plain, cast("Callable[[BinaryIO], BinaryIO]", lzma.open))


def _unpack(given: RawImage, plain: Path, opener: Callable[[BinaryIO], BinaryIO]) -> None:
    """Decompress a file, with holes where it is empty."""
    try:
        with (
            open(given.name, "rb") as packed,  # noqa: PTH123 - the name may be a descriptor's, which is no path
            opener(packed) as source,
            plain.open("xb") as stream,
        ):
            while chunk := source.read(_CHUNK):
                if chunk.count(0) == len(chunk):
                    stream.seek(len(chunk), 1)
                else:
                    stream.write(chunk)
            stream.truncate(stream.tell())
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise corrupted(given.path, "it can't be decompressed") from error
    except OSError as error:
        raise unreadable(given.path, error) from error


_UNPACKERS: Mapping[str, Callable[[RawImage, Path], None]] = {
    Compression.ZSTD: _unpack_zstd,
    Compression.GZIP: _unpack_gzip,
    Compression.XZ: _unpack_xz,
}


def _take_installed(given: RawImage, packed: Path) -> None:
    """Copy the disk that an installer holds, still compressed."""
    extents = find_file(given, INSTALLED_DISK)
    if extents is None:
        raise not_an_image(given.path, f"it is an ISO without {'/'.join(INSTALLED_DISK)}, so no installer of ours")
    if not is_whole(given):
        raise corrupted(given.path, "it is cut off")
    with packed.open("xb") as stream:
        for start, size in extents:
            for offset in range(start, start + size, _CHUNK):
                chunk = given.read(offset, min(_CHUNK, start + size - offset))
                if not chunk:
                    raise corrupted(given.path, "it is cut off")
                stream.write(chunk)


@dataclass(frozen=True, slots=True)
class _Conversion:
    """Converts an image of one format."""

    kind: str

    def __call__(self, given: RawImage, plain: Path) -> None:
        driver = QEMU_DRIVERS[self.kind]
        try:
            told = given.runner.run(
                ["qemu-img", "info", "--output=json", "-f", driver, given.name],
                shown_as=f"qemu-img info -f {driver} {given.path}",
            )
            self._refuse_others(given, json.loads(told.stdout))
            given.runner.run(
                ["qemu-img", "convert", "-q", "-f", driver, "-O", "raw", given.name, plain],
                shown_as=f"qemu-img convert -f {driver} -O raw {given.path}",
            )
        except ToolError as error:
            raise _explained(error, given, f"it can't be read as {self.kind}") from error

    def _refuse_others(self, given: RawImage, told: dict[str, Any]) -> None:
        """Refuse an image that has part of its content in another file: it could name any that we may read."""
        details = told.get("format-specific", {}).get("data", {})
        elsewhere = [extent["filename"] for extent in details.get("extents", ()) if extent["filename"] != given.name]
        if told.get("backing-filename") or details.get("data-file") or elsewhere:
            raise not_an_image(given.path, "it is only complete with another file")


def _explained(error: ToolError, given: RawImage, reason: str) -> InspectError | ToolError:
    """Take a program that found fault with a file for a sign that the file is damaged."""
    return corrupted(given.path, reason) if error.code == "TOOL_FAILED" else error
