"""fetch: the packages of the lock, verified, in the workspace's `packages/`."""

from __future__ import annotations

from image_composer.manifest import Family
from image_composer.package import deb_header, rpm_header
from image_composer.repository.sources import RpmSource
from image_composer.root.foreign import this_machine
from image_composer.steps.architecture import check_architecture
from image_composer.steps.bucket_inputs import forget_signed
from image_composer.steps.build import Build
from image_composer.steps.inputs import fetch_inputs
from image_composer.steps.resolve import build_sources
from image_composer.store.fetch import fetch
from image_composer.store.rpm_trust import verify_packages
from image_composer.workspace import FetchedPackages

EARLIEST = 315532800
"""1980-01-01, where the times of FAT begin."""


def fetch_packages(build: Build) -> None:
    """Bring all packages of the lock into the workspace.

    Raises:
        SpecError: SPEC_FOREIGN_ARCHITECTURE, before anything is fetched.
        RepositoryError: something can't be had, is not what lock or document name, or not signed as it must be.
    """
    try:
        _fetch(build)
    finally:
        forget_signed(build)


def _fetch(build: Build) -> None:
    check_architecture(build.spec.image.target.architecture, build.spec.field("target.architecture"), this_machine())
    files = fetch(
        build.lock,
        build.workspace.packages,
        store=build.store,
        downloader=build.downloader,
        settings=build.settings,
        reporter=build.reporter,
    )
    times = deb_header.build_times
    if build.manifest.family is Family.RPM:
        times = rpm_header.build_times
        verify_packages(
            files,
            build.lock.packages,
            {source.id: source for source in build_sources(build) if isinstance(source, RpmSource)},
            store=build.store,
            runner=build.runner,
            reporter=build.reporter,
            jobs=build.settings.jobs,
        )
    fetch_inputs(build)
    newest = max([EARLIEST, *times(files.values())])
    names = {name: path.name for name, path in sorted(files.items())}
    build.workspace.write(build.workspace.fetched, FetchedPackages(files=names, newest=newest))
    build.reporter.conclude(f"{len(names)} packages, verified")
