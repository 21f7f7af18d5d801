"""Verifies the rpm packages of a lock, many at once, and remembers in the store which were found good.

A package's signature doesn't change, nor do the keys that a distribution is trusted by: a warm build verifies nothing
twice. That a package is the one which the metadata names is looked at every time, since it costs next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path

from image_composer.digest import bytes_sha256, canonical_json, json_sha256
from image_composer.errors import LockError
from image_composer.package.rpm_header import check_identity, read_header
from image_composer.package.rpm_signature import verify_rpm
from image_composer.report import Reporter
from image_composer.repository.lock import LockedPackage
from image_composer.repository.sources import RpmSource
from image_composer.run import Runner
from image_composer.spec.image import Signed
from image_composer.store.content import ContentStore
from image_composer.threads import Threads

FORM = 1
"""Version of how packages are verified: with another one, what was found good before is verified again."""


def verify_packages(
    files: Mapping[str, Path],
    packages: Sequence[LockedPackage],
    sources: Mapping[str, RpmSource],
    *,
    store: ContentStore,
    runner: Runner,
    reporter: Reporter,
    jobs: int,
    clock: Callable[[], float] = time.time,
) -> None:
    """Verify that packages are what the lock names, and signed as their repositories require.

    The first failure ends it.

    Args:
        files: the packages' files by name, as `fetch` has verified them against the lock's digests.
        packages: the packages.
        sources: the repositories by id, with keys and with what must be signed.
        store: remembers what was found good.
        runner: runs gpgv.
        reporter: told how many are done.
        jobs: how many are verified at once.
        clock: seconds since 1970, to refuse signatures of the future.

    Raises:
        RepositoryError: as for `verify_rpm` and `check_identity`.
        LockError: LOCK_INCONSISTENT, a package's repository is not there.
    """
    rings = {source.id: json_sha256([bytes_sha256(key) for key in source.keys]) for source in sources.values()}

    def verify(package: LockedPackage) -> None:
        source, path = sources[package.repository], files[package.name]
        label = f"{package.name} {package.version}"
        what = f"repository {source.id}: package {label}"
        check_identity(read_header(path, what), package.name, package.version, package.architecture, what)
        if source.signed is Signed.METADATA:
            return

        def judge(verdict: Path) -> None:
            found = verify_rpm(path, source.keys, runner=runner, repository=source.id, package=label, clock=clock)
            verdict.write_bytes(canonical_json(found))

        store.derived("rpm-signature", json_sha256([FORM, package.sha256, rings[source.id]]), judge)

    _check_sources(packages, sources)
    _at_once(verify, packages, jobs, reporter)


def _check_sources(packages: Sequence[LockedPackage], sources: Mapping[str, RpmSource]) -> None:
    for package in packages:
        if package.repository not in sources:
            message = f"{package.name} is from the repository {package.repository}, which the document doesn't have"
            raise LockError("LOCK_INCONSISTENT", message)


def _at_once(
    verify: Callable[[LockedPackage], None], packages: Sequence[LockedPackage], jobs: int, reporter: Reporter
) -> None:
    """Verify in threads; the largest first, as one that starts last would run alone at the end."""
    with Threads(jobs, thread_name_prefix="verify") as pool:
        futures = [pool.submit(verify, package) for package in sorted(packages, key=lambda package: -package.size)]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                reporter.progress("verifying packages", done, len(futures), "packages")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
