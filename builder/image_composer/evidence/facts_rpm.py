"""What rpm packages say about themselves: read from their files, since no root need be asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from image_composer.evidence.facts import PackageFacts
from image_composer.evidence.license_rpm import rpm_license
from image_composer.package.rpm_header import RpmHeader, read_header


def read_rpm_facts(files: Mapping[str, Path]) -> dict[str, PackageFacts]:
    """Give the facts of packages by name.

    Args:
        files: the packages' files by name.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    return {name: rpm_facts(read_header(path, f"package {name}")) for name, path in files.items()}


def rpm_facts(header: RpmHeader) -> PackageFacts:
    """Give the facts of one package."""
    return PackageFacts(
        maintainer=header.packager or None,
        vendor=header.vendor or None,
        homepage=header.url or None,
        summary=" ".join((header.summary or "").split()) or None,
        license=rpm_license(header.license or ""),
    )
