"""What a build publishes is complete, agrees with itself and can be checked by others."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from image_composer.digest import file_sha256
from image_composer.formats.naming import output_name
from image_composer.inspect.model import ImageReport
from image_composer.spec.location import image_digest
from image_composer.spec.outputs import Compression
from support.image import EXCLUDED, INSTEAD, PINNED, Image

pytestmark = [pytest.mark.build, pytest.mark.network]


def test_the_folder_holds_what_was_asked_for_and_its_evidence(image: Image) -> None:
    base = f"{image.spec.name}-1.2.3-x86_64"
    evidence = ("spdx.json", "lock.json", "provenance.json", "verify.json")
    outputs = {output_name(image.spec, output) for output in image.spec.outputs}
    assert outputs >= {f"{base}.raw", f"{base}.raw.zst"}
    expected = outputs | {f"{base}.{extension}" for extension in evidence}
    assert {path.name for path in image.folder.iterdir()} == expected | {"SHA256SUMS", "result.json"}


def test_coreutils_confirm_the_checksums_of_every_file(image: Image) -> None:
    said = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=image.folder, capture_output=True, text=True, check=True
    )
    checked = {line.removesuffix(": OK") for line in said.stdout.splitlines()}
    assert checked == {path.name for path in image.folder.iterdir()} - {
        "SHA256SUMS",
        "result.json",
        image.path("verify.json").name,
    }


def test_the_result_tells_what_is_there(image: Image) -> None:
    result = image.result
    assert (result.name, result.version, result.target) == (image.spec.name, image.spec.version, image.spec.target)
    for artifact, output in zip(result.artifacts, image.spec.outputs, strict=True):
        path = image.folder / artifact.file
        assert (artifact.format, artifact.compression) == (output.format, output.compression)
        assert (artifact.size, artifact.sha256) == (path.stat().st_size, file_sha256(path))
    assert {document.kind: document.sha256 for document in result.documents} == {
        "sbom": file_sha256(image.path("spdx.json")),
        "lock": file_sha256(image.path("lock.json")),
        "provenance": file_sha256(image.path("provenance.json")),
        "verification": file_sha256(image.path("verify.json")),
        "checksums": file_sha256(image.folder / "SHA256SUMS"),
    }
    assert result.disk_size == image.raw.stat().st_size
    assert 0 < result.root_size < result.disk_size
    assert result.package_count == len(image.lock.packages)
    assert result.spec_digest == image_digest(image.spec)
    assert result.lock_digest == image.lock.content_digest()
    assert result.started_at < result.finished_at
    assert result.source_date_epoch < result.started_at.timestamp()


def test_the_compressed_output_is_the_same_disk(image: Image) -> None:
    assert image.result.artifacts[1].compression is Compression.ZSTD
    with subprocess.Popen(["zstd", "--decompress", "--stdout", image.path("raw.zst")], stdout=subprocess.PIPE) as zstd:
        assert zstd.stdout is not None
        digest = hashlib.file_digest(zstd.stdout, "sha256").hexdigest()  # type: ignore[arg-type] # a pipe is read as a file is
    assert zstd.returncode == 0
    assert digest == image.result.artifacts[0].sha256


def test_the_disk_is_sparse(image: Image) -> None:
    status = image.raw.stat()
    assert status.st_blocks * 512 < 0.9 * status.st_size


def test_spdx_tools_find_nothing_wrong(image: Image) -> None:
    assert validate_full_spdx_document(parse_file(str(image.path("spdx.json")))) == []


def test_the_bill_of_materials_lists_the_locks_packages(image: Image) -> None:
    listed = {package["name"]: package["versionInfo"] for package in image.sbom["packages"]}
    assert listed.pop(image.spec.name) == image.spec.version
    assert listed == image.packages


def test_inspecting_the_image_shows_the_locks_packages_and_the_results_kernel(image: Image) -> None:
    found = {package.name: (package.version, package.architecture) for package in image.report.packages}
    assert found == {package.name: (package.version, package.architecture) for package in image.lock.packages}
    assert image.report.size == image.result.disk_size
    assert image.report.kernel_version == image.result.kernel_version


def test_inspecting_the_compressed_output_shows_the_same(image: Image) -> None:
    outcome = image.composer.run("inspect", "--json", image.path("raw.zst"))
    report = ImageReport.model_validate_json(outcome.printed)
    assert (report.format, report.compression) == ("raw", "zstd")
    assert report.model_copy(update={"file": image.report.file, "compression": "none"}) == image.report


def test_the_packages_are_those_asked_for_and_what_they_need(image: Image) -> None:
    packages = {package.name: package for package in image.lock.packages}
    pinned = next(request for request in image.spec.packages if request.startswith(PINNED))
    assert pinned == f"{PINNED}={packages[PINNED].version}"
    assert INSTEAD in packages
    assert EXCLUDED not in packages
    needed = {name for package in packages.values() for name in package.depends}
    unasked = {package.name for package in packages.values() if not package.requested and not package.essential}
    assert unasked <= needed
    assert image.result.kernel_version.startswith("6.")


def test_nothing_had_to_be_warned_about(image: Image) -> None:
    assert "warning" not in image.said
