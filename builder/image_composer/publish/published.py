"""What lies at a destination, as the rest of a run and the operator are told."""

from __future__ import annotations

from image_composer.evidence.result import RESULT_FILE, Artifact, BuildResult
from image_composer.pod.message import PublishedArtifact, PublishedDocument, PublishedResult


def published_result(result: BuildResult, folder: str, result_sha256: str, *, reused: bool) -> PublishedResult:
    """Give what is told of a published result.

    Args:
        result: what was published.
        folder: its URI, with a slash at its end.
        result_sha256: digest of result.json there.
        reused: whether it had been there before.
    """
    return PublishedResult(
        folder=folder,
        result=RESULT_FILE,
        result_sha256=result_sha256,
        artifacts=[told(artifact) for artifact in result.artifacts],
        documents=[
            PublishedDocument(kind=document.kind, file=document.file, sha256=document.sha256)
            for document in result.documents
        ],
        spec_digest=result.spec_digest,
        lock_digest=result.lock_digest,
        package_count=result.package_count,
        kernel_version=result.kernel_version,
        builder_version=result.builder_version,
        reused=reused,
    )


def told(artifact: Artifact) -> PublishedArtifact:
    """Give what is told of an image file."""
    return PublishedArtifact(
        format=artifact.format,
        compression=artifact.compression,
        file=artifact.file,
        size=artifact.size,
        sha256=artifact.sha256,
    )
