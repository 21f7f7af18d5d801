"""fetch: the packages of the lock, verified, in the workspace's `packages/`."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

from image_composer.errors import Problem, SpecError
from image_composer.steps.build import Build
from image_composer.store.fetch import fetch
from image_composer.workspace import FetchedPackages, NormalisedSpec

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60
EARLIEST = 315532800
"""1980-01-01, where the times of FAT begin."""


def fetch_packages(build: Build) -> None:
    """Bring all packages of the lock into the workspace.

    Raises:
        SpecError: SPEC_FOREIGN_ARCHITECTURE, before anything is fetched.
        RepositoryError: a package can't be had, or is not the one that the lock names.
    """
    check_architecture(build.spec, platform.machine())
    files = fetch(
        build.lock,
        build.workspace.packages,
        store=build.store,
        downloader=build.downloader,
        settings=build.settings,
        reporter=build.reporter,
    )
    newest = max([EARLIEST, *build_times(files.values())])
    names = {name: path.name for name, path in sorted(files.items())}
    build.workspace.write(build.workspace.fetched, FetchedPackages(files=names, newest=newest))
    build.reporter.conclude(f"{len(names)} packages, verified")


def check_architecture(spec: NormalisedSpec, machine: str) -> None:
    """See that this machine can run the programs of the image, as building it takes.

    Args:
        spec: what the user asks for.
        machine: the machine's processor architecture as the kernel calls it.

    Raises:
        SpecError: SPEC_FOREIGN_ARCHITECTURE.
    """
    wanted = spec.image.target.architecture
    if wanted != machine:
        message = f"images for {wanted} can't be built here: this machine is {machine}"
        raise SpecError(
            [Problem(spec.field("target.architecture"), message, "SPEC_FOREIGN_ARCHITECTURE")],
            hint=f"build on a machine with {wanted}; in a cluster, choose one by build.nodeSelector kubernetes.io/arch",
        )


def build_times(packages: Iterable[Path]) -> Iterable[int]:
    """Give the time that each package was built for, in seconds since 1970.

    dpkg-deb writes SOURCE_DATE_EPOCH, which is the changelog's time, into the header of the archive's first member;
    ar's header is 16 bytes of name and then 12 of the time in decimal.
    """
    for path in packages:
        with path.open("rb") as stream:
            header = stream.read(len(AR_MAGIC) + AR_HEADER)[len(AR_MAGIC) :]
        text = header[16:28].strip()
        if text.isdigit():
            yield int(text)
