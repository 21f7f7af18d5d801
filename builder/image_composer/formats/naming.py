"""The one place that knows what output files are called."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from image_composer.spec.image import Architecture, ImageSpec
from image_composer.spec.outputs import PARTS, Compression, Output, OutputFormat

PART_EXTENSIONS: Mapping[OutputFormat, str] = {
    OutputFormat.UKI: ".efi",
    OutputFormat.ROOT: ".root",
    OutputFormat.ROOT_VERITY: ".verity",
}
"""Formats that are a part of the disk, with what each adds to a file's name.

None begins as another does: systemd-sysupdate takes a file whose name only begins as its pattern says, so that
`.root-verity` was installed as the root.
"""

PARTITIONS = frozenset({OutputFormat.ROOT, OutputFormat.ROOT_VERITY})
"""Parts that are a partition. Their PARTUUID stands in the file's name: an update gives it to the partition."""

FORMAT_EXTENSIONS: Mapping[OutputFormat, str] = {
    **{name: f".{name}" for name in OutputFormat},
    OutputFormat.VHD_DYNAMIC: ".dynamic.vhd",  # programs know both kinds by .vhd alone
    **PART_EXTENSIONS,
}
"""What a format adds to a file's name."""

COMPRESSION_EXTENSIONS: Mapping[Compression, str] = {
    Compression.NONE: "",
    Compression.ZSTD: ".zst",
    Compression.XZ: ".xz",
    Compression.GZIP: ".gz",
}
"""What a compression adds to a file's name."""


def base_name(spec: ImageSpec) -> str:
    """Give the name that all files of one image begin with, but for its parts."""
    return f"{spec.name}-{spec.version}-{spec.target.architecture}"


def output_name(spec: ImageSpec, output: Output, uuid: UUID | None = None) -> str:
    """Give the name of an output's file, for example `edge-gateway-1.4.0-x86_64.raw.zst`.

    Args:
        spec: of the image.
        output: one of its outputs.
        uuid: PARTUUID of a part that is a partition.
    """
    compression = COMPRESSION_EXTENSIONS[output.compression]
    if output.format in PARTS:
        stem = part_stem(spec.name, spec.version, spec.target.architecture, output.format, str(uuid))
        return f"{stem}{compression}"
    return f"{base_name(spec)}{FORMAT_EXTENSIONS[output.format]}{compression}"


def part_stem(name: str, version: str, architecture: Architecture, part: OutputFormat, uuid: str) -> str:
    """Give the name of a part's file before it is compressed, for example `edge-gateway_1.4.0_x86_64.efi`.

    systemd-sysupdate reads version and PARTUUID from it: the underscores, which neither of them nor the image's name
    has, say where each ends.

    Args:
        name: of the image.
        version: of the image, or `@v` for a pattern that finds it.
        architecture: of the image.
        part: a format of `PARTS`.
        uuid: of the partition, or `@u` for a pattern that finds it; of no use for other parts.
    """
    middle = f"_{uuid}" if part in PARTITIONS else ""
    return f"{name}_{version}_{architecture}{middle}{PART_EXTENSIONS[part]}"


def kernel_name(spec: ImageSpec) -> str:
    """Give the name of the unified kernel image on the EFI system partition."""
    if spec.immutable.update is None:
        return f"{spec.name}-{spec.version}.efi"
    return f"{kernel_stem(spec.name, spec.version)}.efi"


def kernel_stem(name: str, version: str) -> str:
    """Give the name of an updated machine's kernel image, without what counts its starts; `@v` makes it a pattern."""
    return f"{name}_{version}"
