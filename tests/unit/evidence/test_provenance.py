"""The statement about from what and by what images are made."""

from __future__ import annotations

import json

from image_composer.evidence.provenance import provenance
from image_composer.evidence.sbom_spdx import ImageFacts
from image_composer.repository.lock import Lock

IMAGES = {"edge.raw.zst": "b" * 64, "edge.raw": "a" * 64}


def test_every_image_is_a_subject_by_its_digest(lock: Lock, image: ImageFacts) -> None:
    statement = provenance(lock, image, IMAGES, epoch=1)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"] == [
        {"name": "edge.raw", "digest": {"sha256": "a" * 64}},
        {"name": "edge.raw.zst", "digest": {"sha256": "b" * 64}},
    ]


def test_every_package_is_a_dependency_by_purl_and_digest(lock: Lock, image: ImageFacts) -> None:
    found = provenance(lock, image, IMAGES, epoch=1)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [(each["name"], each["digest"]["sha256"]) for each in found] == [
        (package.name, package.sha256) for package in lock.packages
    ]
    assert all(each["uri"].startswith("pkg:deb/") for each in found)


def test_another_spec_lock_or_time_is_another_statement(lock: Lock, image: ImageFacts) -> None:
    definition = provenance(lock, image, IMAGES, epoch=7)["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["specDigest"] == image.spec_digest
    assert definition["internalParameters"] == {"lockDigest": lock.content_digest(), "sourceDateEpoch": 7}


def test_credentials_of_a_repository_are_not_in_it(lock: Lock, image: ImageFacts) -> None:
    assert "secret" not in json.dumps(provenance(lock, image, IMAGES, epoch=1))
