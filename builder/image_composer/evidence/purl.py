"""Package URLs, the names under which vulnerability databases know a package.

The encoding rules are those of ECMA-427 (package-url/purl-spec), 5.4: all but letters, digits, `.-_~` and the colon
is percent-encoded. The colon of an epoch stays as it is; a plus becomes `%2B`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from image_composer.repository.lock import LockedPackage

_UNENCODED = "~:"
"""What stays beyond the letters, digits and `_.-` that `quote` never touches."""


def deb_purl(package: LockedPackage, vendor: str, distro: str, repository_url: str | None = None) -> str:
    """Give the package URL of a deb package.

    Args:
        package: the package.
        vendor: who distributes it, for example `debian`; the purl's namespace.
        distro: the distribution's release, for example `debian-12`.
        repository_url: where it is to be had, when that is not the distribution's own archive.
    """
    qualifiers = {
        "arch": package.architecture,
        "distro": distro,
        "repository_url": repository_url or "",
        "upstream": _upstream(package) or "",
    }
    name = f"{_encode(vendor.lower())}/{_encode(package.name.lower())}"
    return f"pkg:deb/{name}@{_encode(package.version)}?{_join(qualifiers)}"


def rpm_purl(package: LockedPackage, vendor: str, distro: str, repository_url: str | None = None) -> str:
    """Give the package URL of an rpm package, whose epoch is no part of its version there.

    Args:
        package: the package.
        vendor: who distributes it, for example `azurelinux`; the purl's namespace.
        distro: the distribution's release, for example `azurelinux-3.0`.
        repository_url: where it is to be had, when that is not the distribution's own repository.
    """
    epoch, version = _epoch_and_version(package.version)
    source_version = _epoch_and_version(package.source_version)[1]
    qualifiers = {
        "arch": package.architecture,
        "distro": distro,
        "epoch": epoch,
        "repository_url": repository_url or "",
        "upstream": f"{package.source}-{source_version}.src.rpm",  # scanners take it apart, so it is always there
    }
    return f"pkg:rpm/{_encode(vendor.lower())}/{_encode(package.name)}@{_encode(version)}?{_join(qualifiers)}"


def _epoch_and_version(evr: str) -> tuple[str, str]:
    """Take `epoch:version-release` apart; an epoch of 0 is none."""
    epoch, colon, version = evr.partition(":")
    return (epoch if epoch != "0" else "", version) if colon else ("", evr)


def _upstream(package: LockedPackage) -> str | None:
    """Give the source package where its name or version differs from the package's own.

    Distributions publish vulnerabilities by source package; scanners read it from this qualifier, which is theirs
    and not the purl specification's.
    """
    if package.source_version != package.version:
        return f"{package.source}@{package.source_version}"
    return package.source if package.source != package.name else None


def _join(qualifiers: Mapping[str, str]) -> str:
    """Give qualifiers in the canonical form: sorted by key, none empty."""
    return "&".join(f"{key}={_encode(value)}" for key, value in sorted(qualifiers.items()) if value)


def _encode(text: str) -> str:
    return quote(text, safe=_UNENCODED)
