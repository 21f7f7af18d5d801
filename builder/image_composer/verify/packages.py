"""Whether the lock, the SBOM and the image's own package database are of one mind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from image_composer.evidence.sbom_spdx import IMAGE_ID
from image_composer.inspect.image import installed_packages
from image_composer.inspect.rpmdb import DATABASES, rpm_packages
from image_composer.manifest import Family
from image_composer.verify.checks import Check, judged, skipped
from image_composer.verify.subject import Subject

Package = tuple[str, str]
"""Name and version."""

SHOWN = 5
"""Packages that a message names; one is enough to look for the reason."""


def check_packages(subject: Subject) -> Check:
    """Hold the three lists against each other, names, versions and architectures."""
    if subject.unreadable:
        return skipped("packages", f"the files of {', '.join(subject.unreadable)} can't be read")
    installed = _installed(subject)
    locked = {(package.name, package.version, package.architecture) for package in subject.lock.packages}
    listed = sbom_packages(subject.sbom)
    problems = [
        *_differences("the package database", installed, "the lock", locked),
        *_differences("the SBOM", listed, "the lock", {(name, version) for name, version, _ in locked}),
    ]
    return judged("packages", problems, f"{len(installed)} packages: database, lock and SBOM name the same")


def sbom_packages(document: Mapping[str, Any]) -> set[Package]:
    """Give the packages of an SPDX document, without the image itself."""
    elements = document.get("packages", [])
    return {(item["name"], item.get("versionInfo", "")) for item in elements if item.get("SPDXID") != IMAGE_ID}


def _installed(subject: Subject) -> set[tuple[str, str, str]]:
    if subject.family is Family.DEB:
        found = installed_packages(subject.text("/var/lib/dpkg/status") or "")
    else:
        path = next((path for path in DATABASES if path in subject.tree), None)
        found = rpm_packages(subject.contents([path])[path], path) if path else []
    return {(package.name, package.version, package.architecture) for package in found}


def _differences(
    one: str, these: Collection[tuple[str, ...]], other: str, those: Collection[tuple[str, ...]]
) -> list[str]:
    """Say what only one of two lists has."""
    told = []
    for title, only in ((one, set(these) - set(those)), (other, set(those) - set(these))):
        if only:
            names = [" ".join(package) for package in sorted(only)[:SHOWN]]
            more = f" and {len(only) - SHOWN} more" if len(only) > SHOWN else ""
            told.append(f"only {title} has {', '.join(names)}{more}")
    return told
