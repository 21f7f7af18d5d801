"""A distribution made for a test; the composer finds it by an entry point that `support.distribution` writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from image_composer.errors import Problem
from image_composer.manifest import Manifest
from image_composer.spec.image import ImageSpec
from image_composer_providers.debian.provider import PROVIDER as DEBIAN

FOLDER_VARIABLE = "TESTING_DISTRIBUTION"
"""Environment variable that says where the distribution's manifest and keys are."""


class Testing:
    """The distribution `testing`, whose facts a test wrote into files."""

    distribution = "testing"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def releases(self) -> Sequence[str]:
        return ("1",)

    def manifest(self, release: str) -> Manifest:
        return Manifest.model_validate_json((self._folder / "manifest.json").read_bytes())

    def key(self, name: str) -> bytes:
        return (self._folder / "keys" / name).read_bytes()

    def host_source_files(self) -> Sequence[str]:
        return DEBIAN.host_source_files()

    def host_mirrors(self, os_release: Mapping[str, str], sources: Mapping[str, str]) -> Mapping[str, str]:
        return DEBIAN.host_mirrors(os_release, sources)

    def problems(self, spec: ImageSpec, manifest: Manifest) -> Sequence[Problem]:
        return ()


PROVIDER = Testing(Path(os.environ.get(FOLDER_VARIABLE, "/proc/nonexistent")))
