from __future__ import annotations

import pytest

from image_composer.evidence.purl import deb_purl, rpm_purl
from image_composer.repository.lock import LockedPackage


def locked(name: str, version: str, source: str, source_version: str) -> LockedPackage:
    return LockedPackage(
        name=name,
        version=version,
        architecture="amd64",
        url="https://ftp.example.org/x.deb",
        sha256="0" * 64,
        size=1,
        installed_size=1,
        repository="debian",
        source=source,
        source_version=source_version,
    )


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        # The form of the examples in the purl specification's deb-definition.json.
        (locked("dpkg", "1.19.0.4", "dpkg", "1.19.0.4"), "dpkg@1.19.0.4?arch=amd64&distro=debian-12"),
        (
            locked("attr", "1:2.4.47-2+b1", "attr", "1:2.4.47-2"),
            "attr@1:2.4.47-2%2Bb1?arch=amd64&distro=debian-12&upstream=attr%401:2.4.47-2",
        ),
        (
            locked("libstdc++6", "12.2.0~rc1", "gcc-12", "12.2.0~rc1"),
            "libstdc%2B%2B6@12.2.0~rc1?arch=amd64&distro=debian-12&upstream=gcc-12",
        ),
    ],
)
def test_a_deb_package_gets_the_canonical_url(package: LockedPackage, expected: str) -> None:
    assert deb_purl(package, "Debian", "debian-12") == f"pkg:deb/debian/{expected}"


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        (
            locked("bash", "1:5.2.15-3.azl3", "bash", "5.2.15-3.azl3"),
            "azurelinux/bash@5.2.15-3.azl3?arch=amd64&distro=azurelinux-3.0&epoch=1&upstream=bash-5.2.15-3.azl3.src.rpm",
        ),
        (
            locked("libstdc++", "0:13.2.0-7.azl3", "gcc", "13.2.0-7.azl3"),
            "azurelinux/libstdc%2B%2B@13.2.0-7.azl3?arch=amd64&distro=azurelinux-3.0&upstream=gcc-13.2.0-7.azl3.src.rpm",
        ),
        (
            locked("NetworkManager", "1.46~rc1^git2-1", "NetworkManager", "2:1.46~rc1^git2-1"),
            "azurelinux/NetworkManager@1.46~rc1%5Egit2-1?arch=amd64&distro=azurelinux-3.0"
            "&upstream=NetworkManager-1.46~rc1%5Egit2-1.src.rpm",
        ),
    ],
)
def test_an_rpm_package_gets_the_canonical_url(package: LockedPackage, expected: str) -> None:
    assert rpm_purl(package, "azurelinux", "azurelinux-3.0") == f"pkg:rpm/{expected}"
