"""Provenance: from what, by what and for whom the images were made, as an in-toto statement with SLSA's predicate.

Formats: in-toto Statement v1 (in-toto/attestation, spec/v1/statement.md), SLSA Provenance v1 (slsa.dev/provenance/v1).
It is not signed. It holds no times of the run and no place of download, so that the same build gives the same
statement; and of the spec only the digest, for the spec may hold password hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from image_composer.evidence.sbom_spdx import ImageFacts, package_purl
from image_composer.repository.lock import Lock

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://imagecomposer.dev/build/v1alpha1"
"""What the parameters below mean; docs/publishing.md says it."""

BUILDER_ID = "https://imagecomposer.dev/builder"


def provenance(
    lock: Lock,
    image: ImageFacts,
    images: Mapping[str, str],
    *,
    epoch: int,
    unsigned: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Give the statement about the images of a build.

    Args:
        lock: the packages.
        image: facts about the image.
        images: SHA-256 by file name.
        epoch: SOURCE_DATE_EPOCH of the build, in seconds since 1970.
        unsigned: SHA-256 of what there was before signatures came to it, by what it is.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": _resources(images),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "name": image.name,
                    "version": image.version,
                    "target": lock.target.model_dump(mode="json", by_alias=True),
                    "specDigest": image.spec_digest,
                },
                "internalParameters": {"lockDigest": lock.content_digest(), "sourceDateEpoch": epoch},
                "resolvedDependencies": [
                    {
                        "uri": package_purl(package, lock, image),
                        "name": package.name,
                        "digest": {"sha256": package.sha256},
                    }
                    for package in lock.packages
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER_ID, "version": {"image-composer": image.builder_version}},
                **({"byproducts": _resources(unsigned)} if unsigned else {}),
            },
        },
    }


def _resources(digests: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())]
