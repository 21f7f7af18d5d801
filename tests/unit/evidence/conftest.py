from __future__ import annotations

from dataclasses import replace

import pytest

from image_composer.evidence.dep5 import declared_license
from image_composer.evidence.facts import PackageFacts
from image_composer.evidence.license_rpm import rpm_license
from image_composer.evidence.sbom_spdx import ImageFacts
from image_composer.manifest import Family
from image_composer.repository.lock import Lock, LockedPackage, LockedRepository
from image_composer.spec.image import Target

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 1995 Someone
License: BSD-2-clause and MIT-ish

License: MIT-ish
 Do as you like.
"""


def package(name: str, version: str, depends: list[str], **fields: object) -> LockedPackage:
    fixed = {
        "name": name,
        "version": version,
        "architecture": "amd64",
        "url": f"https://ftp.example.org/debian/pool/{name}.deb",
        "sha256": name.encode().hex().ljust(64, "0")[:64],
        "size": 1000,
        "installed_size": 4000,
        "repository": "debian",
        "source": name,
        "source_version": version,
        "depends": depends,
    }
    return LockedPackage.model_validate(fixed | fields)


@pytest.fixture
def lock() -> Lock:
    return Lock(
        target=Target(distribution="debian", release="12"),
        request_digest="1" * 64,
        repositories=[
            LockedRepository(
                id=name,
                url=url,
                suite="bookworm",
                components=["main"],
                release_digest="2" * 64,
                release_time=1_700_000_000,
                signed_by=["A" * 40],
            )
            for name, url in [
                ("debian", "https://ftp.example.org/debian"),
                ("acme", "https://user:secret@apt.acme.example/stable"),
            ]
        ],
        packages=[
            package("agent", "3~rc1", ["libstdc++6"], repository="acme", url="file:///srv/agent.deb"),
            package("libstdc++6", "12.2.0-14", [], source="gcc-12"),
            package("openssh-server", "1:9.2p1-2+deb12u5", ["libstdc++6"], source="openssh"),
        ],
    )


@pytest.fixture
def image() -> ImageFacts:
    return ImageFacts(
        name="edge",
        version="1.4.0",
        spec_digest="3" * 64,
        title="Debian 12 (bookworm)",
        vendor="debian",
        supplier="Debian",
        family=Family.DEB,
        own_repositories=frozenset({"debian"}),
        builder_version="0.1.0",
    )


@pytest.fixture
def facts() -> dict[str, PackageFacts]:
    return {
        "openssh-server": PackageFacts(
            maintainer="Debian OpenSSH Maintainers <debian-ssh@lists.example.org>",
            homepage="https://www.openssh.com/",
            summary="secure shell (SSH) server",
            license=declared_license(COPYRIGHT),
        ),
        "agent": PackageFacts(maintainer='Ann "A" Other (she) <ann@acme.example>', homepage="http://localhost/"),
    }


@pytest.fixture
def rpm_lock() -> Lock:
    def rpm(name: str, version: str, depends: list[str], **fields: object) -> LockedPackage:
        url = f"https://rpm.example.org/base/Packages/{name}.rpm"
        fixed = {
            "architecture": "x86_64",
            "repository": "base",
            "url": url,
            "source_version": version.removeprefix("1:"),
        }
        return package(name, version, depends, **fixed | fields)

    return Lock(
        target=Target(distribution="azurelinux", release="3.0"),
        request_digest="1" * 64,
        repositories=[
            LockedRepository(id=name, url=url, release_digest="2" * 64, release_time=1_700_000_000, signed_by=signers)
            for name, url, signers in [
                ("acme", "https://user:secret@rpm.acme.example/stable", []),
                ("base", "https://rpm.example.org/base", ["A" * 40]),
            ]
        ],
        packages=[
            rpm("agent", "3~rc1-1", ["glibc"], architecture="noarch", repository="acme", url="file:///srv/agent.rpm"),
            rpm("bash", "1:5.2.15-3.azl3", ["glibc"]),
            rpm("glibc", "2.38-9.azl3", []),
        ],
    )


@pytest.fixture
def rpm_image(image: ImageFacts) -> ImageFacts:
    return replace(
        image,
        title="Azure Linux 3.0",
        vendor="azurelinux",
        supplier="Azure Linux",
        family=Family.RPM,
        own_repositories=frozenset({"base"}),
    )


@pytest.fixture
def rpm_facts() -> dict[str, PackageFacts]:
    return {
        "agent": PackageFacts(
            maintainer="Ann Other <ann@acme.example>", vendor="Acme (Inc.)", license=rpm_license("Acme EULA or MIT")
        ),
        "bash": PackageFacts(
            vendor="Microsoft Corporation",
            homepage="https://www.gnu.org/software/bash/",
            summary="GNU Bourne Again SHell",
            license=rpm_license("GPLv3+"),
        ),
    }
