"""What a distribution must say to be composed, and how distributions are found.

A provider is a manifest of facts for each release and a few lines of code. Third parties add one by an entry point
in the group `image_composer.providers` whose name is the distribution's; see docs/providers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from image_composer.errors import ComposerError, Problem, SpecError
from image_composer.manifest import ArchitectureFacts, Manifest
from image_composer.spec.image import ImageSpec

GROUP = "image_composer.providers"
"""Entry point group that providers are found in."""


@runtime_checkable
class Provider(Protocol):
    """A distribution."""

    @property
    def distribution(self) -> str:
        """Name as `spec.image.target.distribution` gives it."""

    def releases(self) -> Sequence[str]:
        """Releases that can be built, the oldest first."""

    def manifest(self, release: str) -> Manifest:
        """Give the facts of one of `releases()`."""

    def key(self, name: str) -> bytes:
        """Give one of the provider's OpenPGP key files, armoured or binary."""

    def host_mirrors(self, os_release: Mapping[str, str], sources: Mapping[str, str]) -> Mapping[str, str]:
        """Give base URLs by archive that the host's own configuration names.

        Args:
            os_release: fields of the host's os-release.
            sources: text by path of the host's package manager configuration files (`host_source_files`).
        """

    def host_source_files(self) -> Sequence[str]:
        """Patterns of the host's files that `host_mirrors` reads."""

    def problems(self, spec: ImageSpec, manifest: Manifest) -> Sequence[Problem]:
        """Say what this distribution can't do of what the spec asks; paths are relative to the spec."""


def load_providers() -> dict[str, Provider]:
    """Find every installed provider, by distribution.

    Raises:
        ComposerError: PROVIDER_BROKEN, an installed provider can't be loaded.
    """
    found: dict[str, Provider] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found:
            raise _broken(f"the provider {entry.name} is brought by two packages")
        try:
            provider = entry.load()
        except Exception as error:
            raise _broken(f"the provider {entry.name} ({entry.value}) can't be loaded: {error}") from error
        if isinstance(provider, type) or not isinstance(provider, Provider):
            raise _broken(f"{entry.value} is not a provider: it is no object with all of a provider's methods")
        if provider.distribution != entry.name:
            raise _broken(f"the provider {entry.name} ({entry.value}) calls itself {provider.distribution!r}")
        found[entry.name] = provider
    return found


def _broken(message: str) -> ComposerError:
    return ComposerError("PROVIDER_BROKEN", message, hint="uninstall or repair the package that brings it")


def find_manifest(
    providers: Mapping[str, Provider], spec: ImageSpec, path: str
) -> tuple[Provider, Manifest, ArchitectureFacts]:
    """Give the provider, the manifest and the architecture's facts that the spec's target names.

    Args:
        providers: as `load_providers` gives them.
        spec: what the user asks for.
        path: path of the target in the user's document, for messages.

    Raises:
        SpecError: SPEC_UNKNOWN_TARGET.
    """
    target = spec.target
    provider = providers.get(target.distribution)
    if provider is None:
        raise _unknown(f"{path}.distribution", "distribution", target.distribution, sorted(providers))
    if target.release not in provider.releases():
        raise _unknown(f"{path}.release", f"release of {target.distribution}", target.release, provider.releases())
    manifest = provider.manifest(target.release)
    facts = manifest.architectures.get(target.architecture)
    if facts is None:
        known = sorted(manifest.architectures)
        raise _unknown(f"{path}.architecture", f"architecture of {manifest.title}", target.architecture, known)
    return provider, manifest, facts


def _unknown(path: str, what: str, given: str, known: Sequence[str]) -> SpecError:
    message = f"{str(given)!r} is not a known {what}; known: {', '.join(known) or 'none'}"
    return SpecError(
        [Problem(path, message, "SPEC_UNKNOWN_TARGET")],
        hint="'image-composer providers' lists distributions, releases and architectures",
    )
