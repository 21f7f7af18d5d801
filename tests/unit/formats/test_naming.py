from uuid import UUID

import pytest

from image_composer.formats.naming import PART_EXTENSIONS, base_name, output_name
from image_composer.spec.image import Architecture, ImageSpec, Target
from image_composer.spec.outputs import Compression, Output, OutputFormat

ID = UUID("57ec99d2-def6-5e66-bc86-43546cd302b4")


@pytest.mark.parametrize(
    ("compression", "name"),
    [
        (Compression.NONE, "edge-gateway-1.4.0-aarch64.raw"),
        (Compression.ZSTD, "edge-gateway-1.4.0-aarch64.raw.zst"),
    ],
)
def test_a_file_is_named_after_the_image(compression: Compression, name: str) -> None:
    target = Target(distribution="debian", release="12", architecture=Architecture.AARCH64)
    spec = ImageSpec(name="edge-gateway", version="1.4.0", target=target)
    assert output_name(spec, Output(format=OutputFormat.RAW, compression=compression)) == name
    assert name.startswith(base_name(spec))


@pytest.mark.parametrize(
    ("output_format", "compression", "extension"),
    [
        (OutputFormat.RAW, Compression.XZ, "raw.xz"),
        (OutputFormat.RAW, Compression.GZIP, "raw.gz"),
        (OutputFormat.QCOW2, Compression.NONE, "qcow2"),
        (OutputFormat.VHD, Compression.ZSTD, "vhd.zst"),
        (OutputFormat.VHD_DYNAMIC, Compression.NONE, "dynamic.vhd"),
        (OutputFormat.VHDX, Compression.NONE, "vhdx"),
        (OutputFormat.VMDK, Compression.NONE, "vmdk"),
    ],
)
def test_programs_know_a_format_by_its_extension(
    output_format: OutputFormat, compression: Compression, extension: str
) -> None:
    spec = ImageSpec(name="a", version="1", target=Target(distribution="debian", release="12"))
    assert output_name(spec, Output(format=output_format, compression=compression)) == f"a-1-x86_64.{extension}"


@pytest.mark.parametrize(
    ("part", "compression", "name"),
    [
        (OutputFormat.UKI, Compression.NONE, "edge-gateway_1.4.0_x86_64.efi"),
        (OutputFormat.ROOT, Compression.XZ, f"edge-gateway_1.4.0_x86_64_{ID}.root.xz"),
        (OutputFormat.ROOT_VERITY, Compression.GZIP, f"edge-gateway_1.4.0_x86_64_{ID}.verity.gz"),
    ],
)
def test_parts_are_named_as_updates_look_for_them(part: OutputFormat, compression: Compression, name: str) -> None:
    spec = ImageSpec(name="edge-gateway", version="1.4.0", target=Target(distribution="debian", release="13"))
    assert output_name(spec, Output(format=part, compression=compression), ID) == name


def test_every_output_has_a_name_of_its_own() -> None:
    spec = ImageSpec(name="a", version="1", target=Target(distribution="debian", release="12"))
    outputs = [Output(format=name, compression=how) for name in OutputFormat for how in Compression]
    assert len({output_name(spec, output) for output in outputs}) == len(outputs)


def test_no_part_is_taken_for_another_by_a_program_that_looks_at_beginnings() -> None:
    extensions = list(PART_EXTENSIONS.values())
    assert [one for one in extensions if any(other != one and other.startswith(one) for other in extensions)] == []
