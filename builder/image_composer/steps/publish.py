"""publish: images, evidence and result.json to where they are wanted, all or nothing."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path
from typing import Literal

from image_composer import __version__
from image_composer.digest import file_sha256, pretty_json
from image_composer.errors import ComposerError
from image_composer.evidence.result import RESULT_FILE, Artifact, BuildResult, Document
from image_composer.publish.directory import publish
from image_composer.steps.attest import CHECKSUMS, LOCK_SUFFIX, SBOM_SUFFIX
from image_composer.steps.build import Build
from image_composer.workspace import AssembledRoot, FinishedImages

Kind = Literal["sbom", "lock", "checksums"]
KINDS: tuple[tuple[str, Kind], ...] = ((SBOM_SUFFIX, "sbom"), (LOCK_SUFFIX, "lock"), (CHECKSUMS, "checksums"))


def publish_results(build: Build) -> None:
    """Publish to the build's destination folder.

    Raises:
        PublishError: nothing has changed at the destination then.
    """
    if build.destination is None:
        raise ComposerError("PUBLISH_NO_DESTINATION", "there is no folder to publish to", hint="give --output")
    workspace = build.workspace
    finished = workspace.read(workspace.finished, FinishedImages)
    files = {name: workspace.images / name for name in finished.files}
    files |= {path.name: path for path in sorted(workspace.evidence.iterdir())}
    result = workspace.folder / RESULT_FILE
    text = pretty_json(build_result(build, finished, files).model_dump(mode="json", by_alias=True))
    workspace.write_text(result, text)
    publish({**files, RESULT_FILE: result}, build.destination)


def build_result(build: Build, finished: FinishedImages, files: dict[str, Path]) -> BuildResult:
    """Give the account of a build."""
    workspace, spec = build.workspace, build.spec.image
    assembled = workspace.read(workspace.assembled, AssembledRoot)
    sums = workspace.evidence / CHECKSUMS
    digests = {**read_checksums(sums.read_text()), CHECKSUMS: file_sha256(sums)}
    elapsed = timedelta(seconds=sum(build.reporter.timings.values()))
    return BuildResult(
        name=spec.name,
        version=spec.version,
        target=spec.target,
        artifacts=[
            Artifact(
                file=name,
                format=output.format,
                compression=output.compression,
                size=files[name].stat().st_size,
                sha256=digests[name],
            )
            for name, output in zip(finished.files, spec.outputs, strict=True)
        ],
        documents=[
            Document(kind=kind, file=name, sha256=digests[name])
            for suffix, kind in KINDS
            for name in sorted(files)
            if name.endswith(suffix) and name in digests
        ],
        package_count=len(build.lock.packages),
        kernel_version=assembled.kernel_version,
        disk_size=finished.disk_size,
        root_size=finished.root_size,
        spec_digest=build.spec.digest(),
        lock_digest=build.lock.content_digest(),
        source_date_epoch=assembled.epoch,
        builder_version=__version__,
        started_at=build.started_at,
        finished_at=build.started_at.astimezone(UTC) + elapsed,
        timings=dict(build.reporter.timings),
    )


def read_checksums(text: str) -> dict[str, str]:
    """Give the digests of a SHA256SUMS file by name."""
    return {name: digest for digest, name in (line.split(" *", 1) for line in text.splitlines())}
