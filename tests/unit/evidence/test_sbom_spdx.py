from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from image_composer.digest import pretty_json
from image_composer.errors import LockError
from image_composer.evidence.facts import PackageFacts
from image_composer.evidence.sbom_spdx import ImageFacts, spdx_document
from image_composer.repository.lock import Lock

RPM_GOLDEN = Path(__file__).parent / "golden" / "edge-rpm.spdx.json"
GOLDEN = Path(__file__).parent / "golden" / "edge.spdx.json"
CREATED = 1_700_000_000


def named(document: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [element for element in document["packages"] if element["name"] == name]
    return dict(found)


def test_the_document_is_the_golden_one(lock: Lock, image: ImageFacts, facts: dict[str, PackageFacts]) -> None:
    assert pretty_json(spdx_document(lock, image, facts, created=CREATED)) == GOLDEN.read_text()


def test_spdx_tools_find_nothing_wrong(
    lock: Lock, image: ImageFacts, facts: dict[str, PackageFacts], tmp_path: Path
) -> None:
    file = tmp_path / "edge.spdx.json"
    file.write_text(pretty_json(spdx_document(lock, image, facts, created=CREATED)))
    assert validate_full_spdx_document(parse_file(str(file))) == []


def test_every_package_hangs_from_the_image_and_from_what_needs_it(
    lock: Lock, image: ImageFacts, facts: dict[str, PackageFacts]
) -> None:
    document = spdx_document(lock, image, facts, created=CREATED)
    ids = [element["SPDXID"] for element in document["packages"]]
    edges = {
        (edge["spdxElementId"], edge["relationshipType"], edge["relatedSpdxElement"])
        for edge in document["relationships"]
    }
    library, server = named(document, "libstdc++6")["SPDXID"], named(document, "openssh-server")["SPDXID"]
    assert len(set(ids)) == len(ids) == 4
    assert ("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image") in edges
    assert {("SPDXRef-Image", "CONTAINS", other) for other in ids[1:]} < edges
    assert (server, "DEPENDS_ON", library) in edges


def test_a_package_from_elsewhere_is_not_passed_off_as_the_distributions(
    lock: Lock, image: ImageFacts, facts: dict[str, PackageFacts]
) -> None:
    agent = named(spdx_document(lock, image, facts, created=CREATED), "agent")
    assert agent["supplier"] == "Person: Ann A Other she (ann@acme.example)"
    assert agent["externalRefs"][0]["referenceLocator"] == (
        "pkg:deb/acme/agent@3~rc1?arch=amd64&distro=debian-12&repository_url=https:%2F%2Fapt.acme.example%2Fstable"
    )


def test_no_credential_and_no_private_place_gets_into_the_document(
    lock: Lock, image: ImageFacts, facts: dict[str, PackageFacts]
) -> None:
    document = spdx_document(lock, image, facts, created=CREATED)
    assert "secret" not in json.dumps(document)
    assert named(document, "agent")["downloadLocation"] == "NOASSERTION"
    assert "homepage" not in named(document, "agent")


def test_the_namespace_follows_everything_that_changes_the_content(
    lock: Lock, image: ImageFacts, facts: dict[str, PackageFacts]
) -> None:
    documents = [
        spdx_document(lock, image, facts, created=CREATED),
        spdx_document(lock, image, facts, created=CREATED + 1),
        spdx_document(lock, replace(image, spec_digest="4" * 64), facts, created=CREATED),
        spdx_document(lock.model_copy(update={"packages": lock.packages[1:]}), image, facts, created=CREATED),
    ]
    assert len({document["documentNamespace"] for document in documents}) == len(documents)


def test_a_lock_with_a_loose_end_is_refused(lock: Lock, image: ImageFacts) -> None:
    torn = lock.model_copy(update={"packages": [lock.packages[0]]})
    with pytest.raises(LockError, match=r"libstdc\+\+6") as caught:
        spdx_document(torn, image, {}, created=CREATED)
    assert caught.value.code == "LOCK_INCONSISTENT"


def test_the_document_of_rpm_packages_is_the_golden_one(
    rpm_lock: Lock, rpm_image: ImageFacts, rpm_facts: dict[str, PackageFacts], tmp_path: Path
) -> None:
    text = pretty_json(spdx_document(rpm_lock, rpm_image, rpm_facts, created=CREATED))
    (tmp_path / "edge.spdx.json").write_text(text)
    assert validate_full_spdx_document(parse_file(str(tmp_path / "edge.spdx.json"))) == []
    assert text == RPM_GOLDEN.read_text()


def test_a_vendor_that_a_package_names_is_its_supplier(
    rpm_lock: Lock, rpm_image: ImageFacts, rpm_facts: dict[str, PackageFacts]
) -> None:
    document = spdx_document(rpm_lock, rpm_image, rpm_facts, created=CREATED)
    assert named(document, "bash")["supplier"] == "Organization: Microsoft Corporation"
    assert named(document, "glibc")["supplier"] == "Organization: Azure Linux"
    assert named(document, "agent")["supplier"] == "Organization: Acme Inc."
    assert named(document, "agent")["originator"] == "Person: Ann Other (ann@acme.example)"
