"""What we resolve is what apt would install, package for package, from Debian's own repositories."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from image_composer.report import Reporter
from image_composer.repository.query import PackageQuery
from image_composer.repository.resolve import resolve
from image_composer.repository.sources import DebSource, RepositorySource
from image_composer.run import Runner
from image_composer.settings import Settings
from image_composer.spec.image import Target
from image_composer.store.content import ContentStore
from image_composer.store.download import Downloader
from support.aptroot import AptRoot
from support.hostmirror import KEYRING, mirrors

pytestmark = pytest.mark.network

SUITES = {"12": "bookworm", "13": "trixie"}

REQUESTS = (
    "openssh-server",
    "systemd-sysv linux-image-amd64 systemd-boot dracut login",
    "nginx python3-venv",
    "postgresql",
    "network-manager cloud-init",
    "docker.io podman",
    "exim4 mutt",  # mail transport agents: the archetype of alternatives
    "xfce4-terminal",
    "apache2 libapache2-mod-php mariadb-server",
    "build-essential emacs",
    "libreoffice",  # an early choice that has to give way to a later one
    "task-gnome-desktop",
    "default-jdk maven",
    "r-base python3-sklearn",  # compilers and linear algebra: virtual packages with several providers
    "libghc-singleton-bool-prof libvirt-daemon-system",  # a dependency on `libstdc++-14-dev:amd64`
    "samba bind9 ntpsec",
)


@dataclass(frozen=True)
class Debian:
    """One release, as apt sees it and as we do."""

    release: str
    apt: AptRoot
    sources: tuple[RepositorySource, ...]
    cache: Path

    def resolved(self, names: tuple[str, ...], *, recommends: bool) -> dict[str, tuple[str, bool]]:
        """Give version and whether it is essential by name."""
        settings = Settings(cache_dir=self.cache)
        reporter = Reporter()
        lock = resolve(
            Target(distribution="debian", release=self.release),
            self.sources,
            PackageQuery(names, install_recommends=recommends),
            "0" * 64,
            store=ContentStore(settings.cache_dir, settings.cache_bytes),
            downloader=Downloader(settings, reporter),
            runner=Runner(reporter),
            reporter=reporter,
            now=datetime.now(UTC),
        )
        return {package.name: (package.version, package.essential) for package in lock.packages}


@pytest.fixture(scope="module", params=SUITES)
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Debian:
    suite = SUITES[request.param]
    known = mirrors(os.environ)
    if not KEYRING.exists() or not {"debian", "debian-security"} <= known.keys():
        pytest.skip("this machine names no mirrors of debian and debian-security, or lacks Debian's keyring")
    try:
        urllib.request.urlopen(f"{known['debian']}/dists/{suite}/Release", timeout=10).close()  # http or https
    except OSError as error:
        pytest.skip(f"the Debian mirror can't be reached: {error}")
    archives = {suite: "debian", f"{suite}-updates": "debian", f"{suite}-security": "debian-security"}
    root = tmp_path_factory.mktemp(suite)
    apt = AptRoot(
        root / "apt", [f"deb [signed-by={KEYRING}] {known[archive]} {name} main" for name, archive in archives.items()]
    )
    apt.update()
    keys = (KEYRING.read_bytes(),)
    sources = tuple(
        DebSource(id=name, url=known[archive], suite=name, components=("main",), architecture="amd64", keys=keys)
        for name, archive in archives.items()
    )
    return Debian(request.param, apt, sources, root / "cache")


@pytest.mark.parametrize("recommends", [False, True], ids=["required", "recommended"])
@pytest.mark.parametrize("asked", REQUESTS)
def test_the_same_packages_are_chosen(debian: Debian, asked: str, recommends: bool) -> None:
    names = tuple(asked.split())
    ours = debian.resolved(names, recommends=recommends)
    essential = sorted(name for name, (_, marked) in ours.items() if marked)
    assert essential
    theirs = debian.apt.choice([*essential, *names], recommends=recommends)
    assert {(name, version) for name, (version, _) in ours.items()} == theirs
