"""The initramfs of a unified kernel image, unpacked to be searched."""

from __future__ import annotations

from image_composer.disk.pe import PeFormatError, read_pe_sections
from image_composer.inspect.esp import read_file
from image_composer.inspect.raw import RawImage, corrupted

ZSTD = b"\x28\xb5\x2f\xfd"


def unpacked_initrd(image: RawImage, offset: int, path: str) -> bytes:
    """Give the initramfs of a unified kernel image, unpacked when it is compressed as ours are.

    Args:
        image: the disk.
        offset: byte where its EFI system partition begins.
        path: there.

    Raises:
        InspectError: INSPECT_CORRUPTED.
    """
    try:
        packed = read_pe_sections(read_file(image, offset, path)).get(".initrd", b"")
    except PeFormatError as error:
        raise corrupted(image.path, f"{path} on its EFI system partition is no EFI program: {error}") from error
    if not packed.startswith(ZSTD):
        return packed
    done = image.run(["zstd", "-q", "-d", "-c"], stdin=packed)
    if done.returncode != 0:
        raise corrupted(image.path, f"the initramfs of {path} can't be unpacked")
    return done.stdout
