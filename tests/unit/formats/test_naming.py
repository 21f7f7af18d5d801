import pytest

from image_composer.formats.naming import base_name, output_name
from image_composer.spec.image import Architecture, Compression, ImageSpec, Output, OutputFormat, Target


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
    assert name.startswith(base_name(spec.name, spec.version, target.architecture))


def test_every_compression_has_a_name_of_its_own() -> None:
    target = Target(distribution="debian", release="12")
    spec = ImageSpec(name="a", version="1", target=target)
    outputs = [Output(format=OutputFormat.RAW, compression=compression) for compression in Compression]
    assert len({output_name(spec, output) for output in outputs}) == len(outputs)
