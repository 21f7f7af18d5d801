"""Debian: facts are in manifest-<release>.yaml; the code here knows APT's sources, so that mirrors are found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import yaml

from image_composer.errors import Problem
from image_composer.provider import Manifest, Provider
from image_composer.spec.image import ImageSpec
from image_composer_providers.apt_sources import source_entries

RELEASES = ("12", "13")


class Debian:
    """The Debian provider."""

    distribution = "debian"

    def releases(self) -> Sequence[str]:
        """Give the releases with a manifest, the oldest first."""
        return RELEASES

    def manifest(self, release: str) -> Manifest:
        """Give the facts of a release."""
        return _manifest(release)

    def key(self, name: str) -> bytes:
        """Give one of the archive's signing keys, armoured."""
        return (files(__package__) / "keys" / name).read_bytes()

    def host_source_files(self) -> Sequence[str]:
        """Give the files that APT reads its sources from."""
        return ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")

    def host_mirrors(self, os_release: Mapping[str, str], sources: Mapping[str, str]) -> Mapping[str, str]:
        """Give the mirrors that a Debian host's own APT uses, by archive; what names no Debian suite is not ours."""
        if os_release.get("ID") != self.distribution:
            return {}
        archives = {
            fact.suite: fact.archive for release in RELEASES for fact in self.manifest(release).repositories
        } | {"stable": "debian", "stable-security": "debian-security"}
        found: dict[str, str] = {}
        for path in sorted(sources):
            for entry in source_entries(path, sources[path]):
                archive = archives.get(entry.suite.strip("/"))
                url = re.sub("^file:/(?!/)", "file:///", entry.url)  # APT takes either
                if archive is not None and url.startswith(("http://", "https://", "file://")):
                    found.setdefault(archive, url.rstrip("/"))
        return found

    def problems(self, spec: ImageSpec, manifest: Manifest) -> Sequence[Problem]:  # noqa: ARG002 - no rule of its own
        """Give nothing: Debian adds no rule to those of the spec and the manifest."""
        return ()


@lru_cache(maxsize=len(RELEASES))  # a pure function of the installed files
def _manifest(release: str) -> Manifest:
    text = (files(__package__) / f"manifest-{release}.yaml").read_text()
    return Manifest.model_validate(yaml.safe_load(text))


PROVIDER: Provider = Debian()
