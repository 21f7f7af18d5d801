from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from image_composer.evidence.result import Artifact, BuildResult
from image_composer.spec.image import Target
from image_composer.spec.outputs import Compression, OutputFormat

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def result(**changes: object) -> BuildResult:
    fields: dict[str, object] = {
        "name": "edge",
        "version": "1.4.0",
        "target": Target(distribution="debian", release="12"),
        "artifacts": [
            Artifact(file="edge.raw", format=OutputFormat.RAW, compression=Compression.NONE, size=1, sha256="0" * 64)
        ],
        "documents": [],
        "package_count": 143,
        "kernel_version": "6.1.0-1-amd64",
        "disk_size": 1,
        "root_size": 1,
        "spec_digest": "1" * 64,
        "lock_digest": "2" * 64,
        "source_date_epoch": 1_700_000_000,
        "builder_version": "0.1.0",
        "started_at": NOON,
        "finished_at": NOON,
        "timings": {"resolve": 1.25},
    }
    return BuildResult.model_validate(fields | changes)


def test_the_result_survives_its_file() -> None:
    text = result().model_dump_json()
    assert '"packageCount":143' in text
    assert BuildResult.model_validate_json(text) == result()


@pytest.mark.parametrize(
    "changes",
    [
        {"artifacts": []},
        {"started_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - a time without its zone is the point
        {"spec_digest": "short"},
        {"documents": [{"kind": "sbom", "file": "../x", "sha256": "0" * 64}]},
    ],
)
def test_a_result_that_would_mislead_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        result(**changes)
