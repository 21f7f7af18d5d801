"""resolve: signed metadata and the solver turn the spec into lock.json; or a lock that was given is checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from image_composer.digest import json_sha256
from image_composer.errors import RepositoryError
from image_composer.manifest import ArchitectureFacts, DefaultPackage, Family, Manifest, RepositoryFacts
from image_composer.provider import Provider
from image_composer.repository.lock import Lock, check_lock, read_lock
from image_composer.repository.query import PackageQuery
from image_composer.repository.resolve import resolve
from image_composer.repository.sources import DebSource, RepositorySource, RpmSource
from image_composer.settings import KEYS_PREFIX, Settings, archive_variable
from image_composer.spec.disk import BootLoaderType
from image_composer.spec.features import wanted_features
from image_composer.spec.image import ImageSpec, Repository, Signed
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
    _, manifest, facts = build.target
    query = package_query(spec, manifest, facts)
    digest = request_digest(spec, manifest, query)
    sources = build_sources(build)
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
    profile = manifest.profile(spec.profile)
    kernel = spec.kernel.package or (profile and profile.kernel_package) or facts.kernel_package
    features = [name for feature in wanted_features(spec) for name in manifest.feature_packages.get(feature, [])]
    asked_for = {parse_package_request(text).name for text in spec.packages}
    wanted = {*asked_for, *features}
    chosen = _not_stood_in_for(profile.packages if profile else [], spec.exclude_packages, wanted)
    defaults = _not_stood_in_for(manifest.default_packages, spec.exclude_packages, {*wanted, *chosen}) + chosen
    loader = boot_packages(spec, facts)
    own = [*manifest.base_packages, *defaults, kernel, *loader, *manifest.initramfs.packages, *features]
    names = [*spec.packages, *(name for name in own if name not in asked_for)]
    return PackageQuery(
        names=tuple(dict.fromkeys(names)),
        exclude=tuple(spec.exclude_packages),
        install_recommends=spec.install_recommends,
        versions=((kernel, spec.kernel.version),) if spec.kernel.version else (),
    )


def boot_packages(spec: ImageSpec, facts: ArchitectureFacts) -> list[str]:
    """Give the packages that bring the boot loader; that there are some for GRUB, `target_problems` has seen to."""
    loader, grub = spec.boot_loader, facts.grub
    if loader.type is not BootLoaderType.GRUB or grub is None:
        return list(facts.boot_packages)
    uefi, bios = grub.uefi_packages if loader.uefi else [], grub.bios_packages if loader.bios else []
    return [*grub.packages, *uefi, *bios]


def _not_stood_in_for(
    packages: Sequence[DefaultPackage], excluded: Sequence[str], asked_for: Collection[str]
) -> list[str]:
    """Give the names of packages that are neither excluded nor have their work done by one that was asked for."""
    return [
        package.name
        for package in packages
        if package.name not in excluded and not any(name in asked_for for name in package.unless)
    ]


def request_digest(spec: ImageSpec, manifest: Manifest, query: PackageQuery) -> str:
    """Give the digest of all that decides about packages, wherever they are downloaded from."""
    request: dict[str, Any] = {
        "target": spec.target.model_dump(mode="json"),
        "names": sorted(query.names),
        "exclude": sorted(query.exclude),
        "recommends": query.install_recommends,
        "versions": query.versions,
        "own": [[own.id, own.suite or own.path, own.components, own.priority] for own in manifest.repositories],
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


def build_sources(build: Build) -> list[RepositorySource]:
    """Give all repositories of a build, at the mirrors that this machine uses.

    Raises:
        RepositoryError: REPO_KEY_NEEDED.
    """
    provider, manifest, facts = build.target
    spec, settings = build.spec.image, build.settings
    mirrors = mirror_urls(settings, provider, spec, build.host_os_release, build.host_sources)
    return repository_sources(spec, provider, manifest, facts, mirrors=mirrors, keys=settings.keys)


def repository_sources(
    spec: ImageSpec,
    provider: Provider,
    manifest: Manifest,
    facts: ArchitectureFacts,
    *,
    mirrors: Mapping[str, str],
    keys: Mapping[str, bytes],
) -> list[RepositorySource]:
    """Give all repositories of a build.

    Args:
        spec: what the user asks for.
        provider: the distribution.
        manifest: its release's facts.
        facts: the architecture's.
        mirrors: base URLs by archive, instead of the provider's.
        keys: certificates by archive, instead of the provider's.

    Raises:
        RepositoryError: REPO_KEY_NEEDED.
    """
    architecture = facts.package_architecture
    own = [
        own_source(
            fact,
            mirrors.get(fact.archive, fact.url).rstrip("/"),
            own_keys(fact, provider, keys),
            architecture,
        )
        for fact in manifest.repositories
    ]
    further = [further_source(repository, manifest.family, architecture) for repository in spec.repositories]
    return own + further


def own_keys(fact: RepositoryFacts, provider: Provider, keys: Mapping[str, bytes]) -> tuple[bytes, ...]:
    """Give the certificates that may sign one of the distribution's repositories.

    Raises:
        RepositoryError: REPO_KEY_NEEDED, nobody names one.
    """
    if fact.archive in keys:
        return (keys[fact.archive],)
    if not fact.keys:
        raise RepositoryError(
            "REPO_KEY_NEEDED",
            f"repository {fact.id}: no key is known that may sign it",
            hint=f"fetch the archive's public key from its owner, check its fingerprint, and name the file in "
            f"{archive_variable(KEYS_PREFIX, fact.archive)}",
        )
    return tuple(provider.key(name) for name in fact.keys)


def own_source(fact: RepositoryFacts, url: str, keys: tuple[bytes, ...], architecture: str) -> RepositorySource:
    """Give one of the distribution's repositories as it is used.

    Args:
        fact: what the manifest says.
        url: base URL of its archive.
        keys: certificates that may sign it.
        architecture: the distribution's name of it.
    """
    if fact.suite is None:
        path = (fact.path or "").format(architecture=architecture)
        return RpmSource(
            id=fact.id,
            url=f"{url}/{path}".rstrip("/"),
            architecture=architecture,
            keys=keys,
            priority=fact.priority,
            signed=fact.signed,
        )
    return DebSource(
        id=fact.id,
        url=url,
        suite=fact.suite,
        components=tuple(fact.components),
        architecture=architecture,
        keys=keys,
        priority=fact.priority,
    )


def further_source(repository: Repository, family: Family, architecture: str) -> RepositorySource:
    """Give a repository that the spec brings as it is used."""
    url, keys, packages = repository.url.rstrip("/"), (repository.key.encode(),), tuple(repository.packages)
    if family is Family.RPM:
        return RpmSource(
            id=repository.id,
            url=url,
            architecture=architecture,
            keys=keys,
            priority=repository.priority,
            packages=packages,
            signed=repository.signed or Signed.METADATA_AND_PACKAGES,
        )
    suite = repository.suite or "./"
    return DebSource(
        id=repository.id,
        url=url,
        suite=suite,
        components=tuple(repository.components) or (() if suite.endswith("/") else ("main",)),
        architecture=architecture,
        keys=keys,
        priority=repository.priority,
        packages=packages,
    )


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
