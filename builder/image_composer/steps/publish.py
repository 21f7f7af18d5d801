"""publish: images, evidence and result.json to where they are wanted, all or nothing."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path
from typing import Literal

from image_composer import __version__
from image_composer.digest import file_sha256, pretty_json
from image_composer.errors import DestinationError
from image_composer.evidence.result import RESULT_FILE, Artifact, BuildResult, Document
from image_composer.formats.naming import base_name
from image_composer.pod.message import PublishedArtifact, PublishedResult
from image_composer.publish import directory
from image_composer.publish.published import published_result, told
from image_composer.spec.base import format_size
from image_composer.spec.location import object_uri
from image_composer.steps.attest import (
    CERTIFICATE_SUFFIX,
    CHECKSUMS,
    DER_SUFFIX,
    LOCK_SUFFIX,
    PROVENANCE_SUFFIX,
    SBOM_SUFFIX,
)
from image_composer.steps.build import Build
from image_composer.steps.verify import VERIFY_SUFFIX
from image_composer.workspace import AssembledRoot, FinishedDisk, FinishedImages, PublishPlace

Kind = Literal["sbom", "lock", "provenance", "certificate", "verification", "checksums"]
KINDS: tuple[tuple[str, Kind], ...] = (
    (SBOM_SUFFIX, "sbom"),
    (LOCK_SUFFIX, "lock"),
    (PROVENANCE_SUFFIX, "provenance"),
    (CERTIFICATE_SUFFIX, "certificate"),
    (DER_SUFFIX, "certificate"),
    (VERIFY_SUFFIX, "verification"),
    (CHECKSUMS, "checksums"),
)


def publish_results(build: Build) -> None:
    """Publish to the build's destination, and write down what lies there.

    Raises:
        PublishError: a folder is as it was then, and a bucket has no result.json.
    """
    place = build.place
    if place is None:
        raise no_destination()
    workspace = build.workspace
    finished = workspace.read(workspace.finished, FinishedImages)
    files = {name: workspace.images / name for name in finished.files}
    files |= {path.name: path for path in sorted(workspace.evidence.iterdir())}
    base = base_name(build.spec.image)
    verdict = f"{base}{VERIFY_SUFFIX}"
    files[verdict] = workspace.verdict
    digests = {**evidence_digests(workspace.evidence), verdict: file_sha256(workspace.verdict)}
    account = build_result(build, finished, files, digests)
    result = workspace.folder / RESULT_FILE
    workspace.write_text(result, pretty_json(account.model_dump(mode="json", by_alias=True)))
    if isinstance(place, Path):
        directory.publish({**files, RESULT_FILE: result}, place)
        uri = f"{place.resolve().as_uri()}/"
        published = published_result(account, uri, file_sha256(result), reused=False)
    else:
        published = publish_to_bucket(build, place, files, digests, result)
    workspace.write(workspace.published, published)


def publish_to_bucket(
    build: Build, place: PublishPlace, files: dict[str, Path], digests: dict[str, str], result: Path
) -> PublishedResult:
    """Publish to a bucket, and give what lies there."""
    from image_composer.publish import s3  # noqa: PLC0415 - boto3 takes long to load; folders don't need it

    folder = folder_in_bucket(place)
    local = {name: s3.LocalFile(path, digests[name]) for name, path in files.items()}
    standing = s3.publish(local, result, place.s3, folder, settings=build.settings, reporter=build.reporter)
    uri = object_uri(place.s3, folder)
    if standing.is_ours:
        size = sum(file.size for file in local.values())
        build.reporter.conclude(f"{len(local) + 1} files, {format_size(size)}, verified in {uri}")
    else:
        build.reporter.conclude(f"somebody else has published to {uri} meanwhile; theirs counts")
    return published_result(standing.result, uri, standing.sha256, reused=not standing.is_ours)


def folder_in_bucket(place: PublishPlace) -> str:
    """Give the folder of a place in a bucket.

    Raises:
        PublishError: PUBLISH_NO_DESTINATION.
    """
    if place.folder is None:
        raise no_destination()
    return place.folder


def no_destination() -> DestinationError:
    """Give the error of a build that has no place to publish to."""
    return DestinationError(
        "PUBLISH_NO_DESTINATION",
        "there is no place to publish to",
        hint="give --output, or a destination in the document to the stage validate",
    )


def evidence_digests(evidence: Path) -> dict[str, str]:
    """Give the digests of images and evidence, as the evidence says them."""
    sums = evidence / CHECKSUMS
    return {**read_checksums(sums.read_text()), CHECKSUMS: file_sha256(sums)}


def build_result(
    build: Build, finished: FinishedImages, files: dict[str, Path], digests: dict[str, str]
) -> BuildResult:
    """Give the account of a build."""
    workspace, spec = build.workspace, build.spec.image
    assembled = workspace.read(workspace.assembled, AssembledRoot)
    disk = workspace.read(workspace.finished_disk, FinishedDisk)
    elapsed = timedelta(seconds=sum(build.reporter.timings.values()))
    return BuildResult(
        name=spec.name,
        version=spec.version,
        target=spec.target,
        artifacts=image_artifacts(build, finished, digests),
        documents=[
            Document(kind=kind, file=name, sha256=digests[name])
            for suffix, kind in KINDS
            for name in sorted(files)
            if name.endswith(suffix) and name in digests
        ],
        package_count=len(build.lock.packages),
        kernel_version=assembled.kernel_version,
        disk_size=disk.disk_size,
        root_size=disk.root_size,
        spec_digest=build.spec.digest(),
        lock_digest=build.lock.content_digest(),
        source_date_epoch=assembled.epoch,
        builder_version=__version__,
        started_at=build.started_at,
        finished_at=build.started_at.astimezone(UTC) + elapsed,
        timings=dict(build.reporter.timings),
    )


def image_artifacts(build: Build, finished: FinishedImages, digests: dict[str, str]) -> list[Artifact]:
    """Give the image files of a build, in the order of the spec's outputs."""
    return [
        Artifact(
            file=name,
            format=output.format,
            compression=output.compression,
            size=(build.workspace.images / name).stat().st_size,
            sha256=digests[name],
        )
        for name, output in zip(finished.files, build.spec.image.outputs, strict=True)
    ]


def attested_files(build: Build) -> list[PublishedArtifact]:
    """Give what is told of the image files of a build, once they are attested."""
    workspace = build.workspace
    finished = workspace.read(workspace.finished, FinishedImages)
    return [told(artifact) for artifact in image_artifacts(build, finished, evidence_digests(workspace.evidence))]


def read_checksums(text: str) -> dict[str, str]:
    """Give the digests of a SHA256SUMS file by name."""
    return {name: digest for digest, name in (line.split(" *", 1) for line in text.splitlines())}
