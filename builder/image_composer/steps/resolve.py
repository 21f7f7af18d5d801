"""resolve: signed metadata and the solver turn the spec into lock.json; or a lock that was given is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from image_composer.digest import json_sha256
from image_composer.provider import ArchitectureFacts, Manifest, Provider
from image_composer.repository.lock import Lock, check_lock, read_lock
from image_composer.repository.query import PackageQuery
from image_composer.repository.resolve import resolve
from image_composer.repository.sources import RepositorySource
from image_composer.settings import Settings
from image_composer.spec.image import ImageSpec, Sudo
from image_composer.spec.packages import parse_package_request
from image_composer.steps.build import Build


def lock_packages(build: Build) -> None:
    """Write the lock.

    Raises:
        RepositoryError: a repository can't be had or trusted.
        SolverError: the packages can't be had together.
        LockError: the given lock is for something else.
    """
    spec = build.spec.image
    provider, manifest, facts = build.target
    query = package_query(spec, manifest, facts)
    digest = request_digest(spec, manifest, query)
    mirrors = mirror_urls(build.settings, provider, spec, build.host_os_release, build.host_sources)
    sources = repository_sources(spec, provider, manifest, facts, mirrors)
    if build.given_lock is not None:
        lock = read_lock(build.given_lock)
        check_lock(lock, spec.target, digest)
        lock = with_mirrors(lock, {source.id: source.url for source in sources})
    else:
        lock = resolve(
            spec.target,
            sources,
            query,
            digest,
            store=build.store,
            downloader=build.downloader,
            runner=build.runner,
            reporter=build.reporter,
            now=build.started_at,
        )
    build.workspace.write(build.workspace.lock, lock)
    size = sum(package.size for package in lock.packages)
    build.reporter.conclude(f"{len(lock.packages)} packages, {size / 1e6:.0f} MB")


def package_query(spec: ImageSpec, manifest: Manifest, facts: ArchitectureFacts) -> PackageQuery:
    """Give what the solver is asked: the spec's packages, the distribution's base, kernel and boot loader."""
    kernel = spec.kernel.package or facts.kernel_package
    features = [
        name
        for name in manifest.feature_packages.get("sudo", [])
        if any(user.sudo is not Sudo.NONE for user in spec.users)
    ]
    asked_for = {parse_package_request(text).name for text in spec.packages}
    defaults = [
        default.name
        for default in manifest.default_packages
        if default.name not in spec.exclude_packages and not asked_for.intersection(default.unless)
    ]
    own = [*manifest.base_packages, *defaults, kernel, *facts.boot_packages, *manifest.initramfs.packages, *features]
    names = [*spec.packages, *(name for name in own if name not in asked_for)]
    return PackageQuery(
        names=tuple(dict.fromkeys(names)),
        exclude=tuple(spec.exclude_packages),
        install_recommends=spec.install_recommends,
        versions=((kernel, spec.kernel.version),) if spec.kernel.version else (),
    )


def request_digest(spec: ImageSpec, manifest: Manifest, query: PackageQuery) -> str:
    """Give the digest of all that decides about packages, wherever they are downloaded from."""
    request: dict[str, Any] = {
        "target": spec.target.model_dump(mode="json"),
        "names": sorted(query.names),
        "exclude": sorted(query.exclude),
        "recommends": query.install_recommends,
        "versions": query.versions,
        "own": [[own.id, own.suite, own.components, own.priority] for own in manifest.repositories],
        "further": [
            [further.id, further.suite, further.components, further.priority, further.packages]
            for further in spec.repositories
        ],
    }
    return json_sha256(request)


def mirror_urls(
    settings: Settings,
    provider: Provider,
    spec: ImageSpec,
    os_release: Mapping[str, str],
    host_sources: Mapping[str, str],
) -> dict[str, str]:
    """Give base URLs by archive that stand instead of the provider's.

    The spec's own come before the machine's settings, and those before what the host's package manager uses.
    """
    host = provider.host_mirrors(os_release, host_sources) if settings.host_sources else {}
    return {**host, **settings.mirrors, **spec.mirrors}


def repository_sources(
    spec: ImageSpec, provider: Provider, manifest: Manifest, facts: ArchitectureFacts, mirrors: Mapping[str, str]
) -> list[RepositorySource]:
    """Give all repositories of a build."""
    architecture = facts.package_architecture
    own = [
        RepositorySource(
            id=fact.id,
            url=mirrors.get(fact.archive, fact.url).rstrip("/"),
            suite=fact.suite,
            components=tuple(fact.components),
            architecture=architecture,
            keys=tuple(provider.key(name) for name in fact.keys),
            priority=fact.priority,
        )
        for fact in manifest.repositories
    ]
    further = [
        RepositorySource(
            id=repository.id,
            url=repository.url.rstrip("/"),
            suite=repository.suite or "./",
            components=tuple(repository.components) or (() if (repository.suite or "/").endswith("/") else ("main",)),
            architecture=architecture,
            keys=(repository.key.encode(),),
            priority=repository.priority,
            packages=tuple(repository.packages),
        )
        for repository in spec.repositories
    ]
    return own + further


def with_mirrors(lock: Lock, urls: Mapping[str, str]) -> Lock:
    """Give a lock whose packages are looked for at today's mirrors; what they are stays as it is."""
    bases = {repository.id: repository.url for repository in lock.repositories}

    def moved(url: str, repository: str) -> str:
        base, new = bases.get(repository, ""), urls.get(repository)
        return new + url.removeprefix(base) if new and base and url.startswith(f"{base}/") else url

    packages = [package.model_copy(update={"url": moved(package.url, package.repository)}) for package in lock.packages]
    repositories = [
        repository.model_copy(update={"url": urls.get(repository.id, repository.url)})
        for repository in lock.repositories
    ]
    return lock.model_copy(update={"packages": packages, "repositories": repositories})
