"""The one place that knows what output files are called."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.spec.image import Architecture, Compression, ImageSpec, Output, OutputFormat

FORMAT_EXTENSIONS: Mapping[OutputFormat, str] = {
    **{name: f".{name}" for name in OutputFormat},
    OutputFormat.VHD_DYNAMIC: ".dynamic.vhd",  # programs know both kinds by .vhd alone
}
"""What a format adds to a file's name."""

COMPRESSION_EXTENSIONS: Mapping[Compression, str] = {
    Compression.NONE: "",
    Compression.ZSTD: ".zst",
    Compression.XZ: ".xz",
    Compression.GZIP: ".gz",
}
"""What a compression adds to a file's name."""


def base_name(name: str, version: str, architecture: Architecture) -> str:
    """Give the name that all files of one image begin with."""
    return f"{name}-{version}-{architecture}"


def output_name(spec: ImageSpec, output: Output) -> str:
    """Give the name of an output's file, for example `edge-gateway-1.4.0-x86_64.raw.zst`."""
    base = base_name(spec.name, spec.version, spec.target.architecture)
    return f"{base}{FORMAT_EXTENSIONS[output.format]}{COMPRESSION_EXTENSIONS[output.compression]}"
