"""The software bill of materials as SPDX 2.3 JSON.

https://spdx.github.io/spdx-spec/v2.3/ and its JSON schema. The document is a function of its arguments: the same
lock, spec and facts give the same bytes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from image_composer.digest import bytes_sha256, json_sha256
from image_composer.errors import LockError
from image_composer.evidence.dep5 import NOASSERTION, ExtractedLicense
from image_composer.evidence.facts import PackageFacts
from image_composer.evidence.purl import deb_purl, rpm_purl
from image_composer.manifest import Family
from image_composer.repository.lock import Lock, LockedPackage

Element = dict[str, Any]
"""An object of the SPDX JSON schema."""

IMAGE_ID = "SPDXRef-Image"
"""The image itself, which everything else hangs from."""

_LICENSE_COMMENTS = {
    Family.DEB: "Declared by the package's copyright file, which covers all files of its source package.",
    Family.RPM: "Declared by the package's License tag.",
}
_DOCUMENT_ID = "SPDXRef-DOCUMENT"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://imagecomposer.dev/spdx")
_ILLEGAL = re.compile(r"[^A-Za-z0-9.-]", re.ASCII)
_MAINTAINER = re.compile(r"(?P<name>[^<>]*[^<>\s])\s*<(?P<address>[^<>\s]+)>")
_TEAM = re.compile(r"\b(team|teams|maintainers|group|developers|project|qa|packagers|task force)\b", re.IGNORECASE)
_PUBLIC_URL = re.compile(
    r"(?P<scheme>https?)://(?:[^/@\s]*@)?(?P<rest>(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::[0-9]+)?(?:/[!-~]*)?)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the document says about the image."""

    name: str
    version: str
    spec_digest: str
    title: str
    """The distribution's release for people, for example `Debian 12 (bookworm)`."""

    vendor: str
    """The distribution by its provider's name, for example `debian`."""

    supplier: str
    """Who distributes the distribution's packages where they don't say it themselves, for example `Debian`."""

    family: Family
    """The packages' format."""

    own_repositories: frozenset[str]
    """Ids of the distribution's own repositories; packages from others are supplied by their maintainers."""

    builder_version: str


def spdx_document(lock: Lock, image: ImageFacts, facts: Mapping[str, PackageFacts], *, created: int) -> dict[str, Any]:
    """Give the SPDX document of an image.

    Args:
        lock: the packages.
        image: what is said about the image itself.
        facts: what the packages say about themselves, by name; may be incomplete.
        created: the image's SOURCE_DATE_EPOCH.

    Raises:
        LockError: LOCK_INCONSISTENT, a package depends on one that the lock doesn't have.
    """
    ids = {package.name: _package_id(package) for package in lock.packages}
    known = {package.name: facts.get(package.name, PackageFacts()) for package in lock.packages}
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT_ID,
        "name": f"{image.name}-{image.version}",
        "documentNamespace": _namespace(lock, image, created),
        "creationInfo": {
            "created": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: image-composer-{image.builder_version}"],
        },
        "packages": [
            _image(lock, image),
            *(_package(package, known[package.name], lock, image) for package in lock.packages),
        ],
        "relationships": list(_relationships(lock, ids)),
    }
    extracted = {found.reference: found for package in lock.packages for found in known[package.name].license.extracted}
    if extracted:
        document["hasExtractedLicensingInfos"] = [_extracted(extracted[key]) for key in sorted(extracted)]
    return document


def _namespace(lock: Lock, image: ImageFacts, created: int) -> str:
    """Give the document's URI: a name that is unique to its content, not a place."""
    content = [image.spec_digest, json_sha256(lock.model_dump(mode="json")), image.builder_version, created]
    identity = uuid.uuid5(_NAMESPACE, json_sha256(content))
    return f"https://imagecomposer.dev/spdx/{image.name}-{image.version}-{identity}"


def _image(lock: Lock, image: ImageFacts) -> Element:
    return {
        "SPDXID": IMAGE_ID,
        "name": image.name,
        "versionInfo": image.version,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "summary": f"Operating system image of {image.title} for {lock.target.architecture}",
        "supplier": NOASSERTION,
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": False,
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
    }


def _package(package: LockedPackage, facts: PackageFacts, lock: Lock, image: ImageFacts) -> Element:
    maintainer, vendor = _actor(facts.maintainer), _organization(facts.vendor)
    own = package.repository in image.own_repositories
    supplier = vendor or (_organization(image.supplier) if own else maintainer)
    element: Element = {
        "SPDXID": _package_id(package),
        "name": package.name,
        "versionInfo": package.version,
        "supplier": supplier or NOASSERTION,
        "downloadLocation": _public_url(package.url) or NOASSERTION,
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
        "sourceInfo": f"built from the source package {package.source} {package.source_version}",
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": facts.license.expression,
        "copyrightText": NOASSERTION,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package_purl(package, lock, image),
            }
        ],
    }
    homepage = _public_url(facts.homepage or "")
    optional = {
        "licenseComments": None if facts.license.expression == NOASSERTION else _LICENSE_COMMENTS[image.family],
        "originator": maintainer if maintainer != supplier else None,
        "summary": facts.summary,
        "homepage": homepage,
    }
    return element | {key: value for key, value in optional.items() if value}


def package_purl(package: LockedPackage, lock: Lock, image: ImageFacts) -> str:
    """Give a package's URL; one from elsewhere must not be taken for the distribution's own by a scanner."""
    purl = rpm_purl if image.family is Family.RPM else deb_purl
    distro = f"{image.vendor}-{lock.target.release}"
    if package.repository in image.own_repositories:
        return purl(package, image.vendor, distro)
    urls = {repository.id: repository.url for repository in lock.repositories}
    return purl(package, package.repository, distro, _public_url(urls.get(package.repository, "")))


def _relationships(lock: Lock, ids: Mapping[str, str]) -> Iterable[Element]:
    yield _relationship(_DOCUMENT_ID, "DESCRIBES", IMAGE_ID)
    for package in lock.packages:
        yield _relationship(IMAGE_ID, "CONTAINS", ids[package.name])
    for package in lock.packages:
        for needed in package.depends:
            if needed not in ids:
                raise LockError("LOCK_INCONSISTENT", f"{package.name} depends on {needed}, which the lock doesn't have")
            yield _relationship(ids[package.name], "DEPENDS_ON", ids[needed])


def _relationship(element: str, kind: str, related: str) -> Element:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}


def _extracted(found: ExtractedLicense) -> Element:
    return {"licenseId": found.reference, "name": found.name or NOASSERTION, "extractedText": found.text}


def _package_id(package: LockedPackage) -> str:
    """Give an id of legal characters that stays the same from version to version.

    A name that loses characters gets a digest, so that `libstdc++6` and a `libstdc--6` never meet.
    """
    legal = _ILLEGAL.sub("-", package.name)
    digest = "" if legal == package.name else f"-{bytes_sha256(package.name.encode())[:8]}"
    return f"SPDXRef-Package-{legal}{digest}"


def _actor(maintainer: str | None) -> str | None:
    """Give a maintainer (`Name <address>`) as SPDX writes people and organisations."""
    match = _MAINTAINER.fullmatch((maintainer or "").strip())
    if match is None:
        return None
    # Brackets would end the address in SPDX's own notation.
    name = re.sub(r"[()\"]", "", match["name"]).strip()
    kind = "Organization" if _TEAM.search(name) or "@lists." in match["address"] else "Person"
    return f"{kind}: {name} ({match['address']})" if name else None


def _organization(name: str | None) -> str | None:
    """Give who distributes packages as SPDX writes organisations; in brackets there would be an address."""
    plain = " ".join(re.sub(r"[()\"<>]", " ", name or "").split())
    return f"Organization: {plain}" if plain else None


def _public_url(url: str) -> str | None:
    """Give a URL without credentials; None when it is not on the public net and so means nothing to a reader."""
    match = _PUBLIC_URL.fullmatch(url.strip())
    return f"{match['scheme']}://{match['rest']}" if match else None
