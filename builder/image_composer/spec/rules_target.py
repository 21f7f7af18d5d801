"""Rules about what a distribution can do of what a document asks: they need its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from image_composer.errors import Problem
from image_composer.spec import rules_system
from image_composer.spec.disk import BootLoaderType, PartitionType
from image_composer.spec.features import unknown_features
from image_composer.spec.image import ImageSpec, Signed
from image_composer.spec.outputs import OutputFormat
from image_composer.spec.problems import Finding
from image_composer.spec.rules_update import second_slot
from image_composer.spec.trusted import Mutability

if TYPE_CHECKING:
    from image_composer.manifest import Manifest


def target_problems(spec: ImageSpec, manifest: Manifest, prefix: str) -> list[Problem]:
    """Give what the target can't do of what the spec asks."""
    findings = [finding for rule in TARGET_RULES for finding in rule(spec, manifest)]
    return [Problem(f"{prefix}.{path}" if prefix else path, message) for path, message in findings]


def _unknown_mirrors(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    known = sorted({repository.archive for repository in manifest.repositories})
    for name in spec.mirrors:
        if name not in known:
            yield f"mirrors.{name}", f"{manifest.title} has no archive of that name; known: {', '.join(known)}"


def _filesystems(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    immutable = spec.mutability is Mutability.IMMUTABLE
    if immutable and not manifest.read_only_filesystems:
        yield "mutability", f"{manifest.title} has no file system for an immutable root"
    for number, partition in enumerate(spec.disk.partitions):
        is_immutable_root = immutable and partition.type is PartitionType.ROOT
        known_here = [*manifest.read_only_filesystems] if is_immutable_root else [*manifest.filesystems]
        if partition.filesystem not in known_here:
            known = ", ".join(known_here)
            yield f"disk.partitions[{number}].filesystem", f"{manifest.title} can't mount it; known: {known}"


def _grub_packages(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    loader = spec.boot_loader
    facts = manifest.architectures.get(spec.target.architecture)
    if loader.type is not BootLoaderType.GRUB or facts is None:
        return
    if facts.grub is None:
        yield "bootLoader.type", f"{manifest.title} has no packages of GRUB for {spec.target.architecture}"
    elif loader.bios and not facts.grub.bios_packages:
        yield "bootLoader.firmware", f"{manifest.title} has no packages of GRUB for a BIOS"


def _base_not_excluded(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    for number, name in enumerate(spec.exclude_packages):
        if name in manifest.base_packages:
            yield f"excludePackages[{number}]", f"{name} is part of every image of {manifest.title}"


def _repository_ids(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    taken = {repository.id for repository in manifest.repositories}
    for number, repository in enumerate(spec.repositories):
        if repository.id in taken:
            yield f"repositories[{number}].id", f"{repository.id} is the name of one of the distribution's own"


def _repository_families(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    for number, repository in enumerate(spec.repositories):
        path = f"repositories[{number}]"
        if manifest.family == "deb":
            if repository.suite is None:
                yield f"{path}.suite", f"is missing; {manifest.title} takes deb packages"
            if repository.signed not in (None, Signed.METADATA):
                yield f"{path}.signed", "can only be 'metadata' for deb packages, which carry no signatures"
        elif repository.suite is not None or repository.components:
            yield (
                path,
                f"has a suite or components, which only deb repositories have; {manifest.title} takes rpm packages",
            )


def _holds(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    if spec.package_manager.holds and manifest.family != "deb":
        yield "packageManager.holds", f"can't be kept: {manifest.title} takes rpm packages, which know no holds"


def _installer_kernel(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    facts = manifest.architectures.get(spec.target.architecture)
    if facts is None or (spec.profile is not None and spec.profile not in manifest.profiles):
        return  # told elsewhere
    profile = manifest.profile(spec.profile)
    kernel = spec.kernel.package or (profile and profile.kernel_package) or facts.kernel_package
    for number, output in enumerate(spec.outputs):
        if output.format is not OutputFormat.ISO or any(fnmatchcase(kernel, name) for name in facts.installer_kernels):
            continue
        known = ", ".join(facts.installer_kernels)
        if known:
            reason = f"the kernel {kernel} is not known to read such a medium (iso9660); those that are: {known}"
        else:
            reason = (
                f"{manifest.title} has no kernel for {spec.target.architecture} that is known to start an installer"
            )
        yield f"outputs[{number}].format", f"can't be 'iso': {reason}"


def _profile(spec: ImageSpec, manifest: Manifest) -> Iterator[Finding]:
    if spec.profile is not None and spec.profile not in manifest.profiles:
        known = ", ".join(sorted(manifest.profiles)) or "none"
        yield "profile", f"{manifest.title} has no profile {spec.profile!r}; known: {known}"


TARGET_RULES = (
    *(_unknown_mirrors, _profile, _filesystems, _repository_ids, _repository_families, _base_not_excluded),
    *(_holds, unknown_features, second_slot, _grub_packages, _installer_kernel, rules_system.hidden_files),
)
"""Every rule about what a distribution can do."""
