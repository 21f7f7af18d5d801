"""A provider made of files: all that is special about a distribution stands in the manifests and keys beside its code.

A distribution is a package with `manifest-<release>.yaml` for each release, a folder `keys` if it ships any, and

    PROVIDER: Provider = FilesProvider("mylinux", __package__)

in a module that the entry point names. What differs in behaviour is a method of a subclass: `problems()` for rules of
its own, `host_mirrors()` for the package manager of a host that runs the same distribution (`apt_sources.AptProvider`
has that for APT). Nothing is read before it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import yaml

from image_composer.errors import Problem
from image_composer.manifest import Manifest
from image_composer.spec.image import ImageSpec


class FilesProvider:
    """The distribution whose manifests and keys lie in a Python package."""

    def __init__(self, distribution: str, package: str) -> None:
        """Take the name that specs use, and the package that holds the files."""
        self.distribution = distribution
        self._package = package

    def releases(self) -> Sequence[str]:
        """Give the releases with a manifest, the oldest first."""
        return _releases(self._package)

    def manifest(self, release: str) -> Manifest:
        """Give the facts of a release."""
        return _manifest(self._package, release)

    def key(self, name: str) -> bytes:
        """Give one of the files in `keys`."""
        return (files(self._package) / "keys" / name).read_bytes()

    def host_source_files(self) -> Sequence[str]:
        """Give nothing: no file of the host says where its mirrors are."""
        return ()

    def host_mirrors(
        self,
        os_release: Mapping[str, str],  # noqa: ARG002 - of the interface; there is no host to learn from
        sources: Mapping[str, str],  # noqa: ARG002 - as above
    ) -> Mapping[str, str]:
        """Give nothing: mirrors come from settings and specs."""
        return {}

    def problems(self, spec: ImageSpec, manifest: Manifest) -> Sequence[Problem]:  # noqa: ARG002 - no rule of its own
        """Give nothing: the rules of the spec and the manifest are all there are."""
        return ()


@lru_cache(maxsize=32)  # pure functions of the installed files; more packages than any machine has providers
def _releases(package: str) -> tuple[str, ...]:
    names = (re.fullmatch(r"manifest-(.+)\.yaml", entry.name) for entry in files(package).iterdir())
    return tuple(sorted((match[1] for match in names if match), key=_version))


@lru_cache(maxsize=64)
def _manifest(package: str, release: str) -> Manifest:
    text = (files(package) / f"manifest-{release}.yaml").read_text()
    return Manifest.model_validate(yaml.safe_load(text))


def _version(release: str) -> list[tuple[int, str]]:
    """Give what sorts 9 before 10, and words after numbers."""
    return [(int(part), "") if part.isdigit() else (1 << 31, part) for part in re.split(r"[.-]", release)]
