from __future__ import annotations

import pytest

from image_composer.evidence.purl import deb_purl
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
