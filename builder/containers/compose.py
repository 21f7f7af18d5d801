"""From recipes to archives: which layers an image has, and under which keys they are kept."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from containers.archive import Archive, ImageConfig, write_archive
from containers.cache import LayerCache
from containers.debian import DebianLayer
from containers.layer import Layer
from containers.python import PythonLayers, check_interpreter, wheel_digest
from containers.recipes import ENVIRONMENT, SETUP, UNPRIVILEGED, Recipe
from image_composer import __version__
from image_composer.cli.session import Session
from image_composer.digest import file_sha256, json_sha256
from image_composer.repository.lock import Lock, lock_text
from image_composer.root import install_deb
from image_composer.spec.image import Architecture

ARCHITECTURE = Architecture.X86_64
GO_ARCHITECTURE = {Architecture.X86_64: "amd64", Architecture.AARCH64: "arm64"}
"""Names that the OCI image specification takes from Go."""


@dataclass(frozen=True, slots=True)
class ImageMaker:
    """Makes images into a folder."""

    session: Session
    cache: LayerCache
    output: Path
    refresh: bool = False
    """Whether the newest packages are asked for, even when that was done less than a day ago."""

    def make(self, recipe: Recipe) -> Archive:
        """Make the archive of an image, and its lock beside it.

        Raises:
            ComposerError: it can't be made.
        """
        check_interpreter(f"{sys.version_info.major}.{sys.version_info.minor}")
        python = PythonLayers(self.session.runner)
        debian = DebianLayer(self.session, recipe, ARCHITECTURE)
        lock = self._lock(recipe, debian)
        layers = [self._base(recipe, debian, lock), self._packages(recipe, python), self._project(recipe, python)]
        self.output.mkdir(parents=True, exist_ok=True)
        (self.output / f"{recipe.name}.lock.json").write_text(lock_text(lock))
        config = ImageConfig(
            architecture=GO_ARCHITECTURE[ARCHITECTURE],
            entrypoint=[recipe.program],
            environment={**ENVIRONMENT, **recipe.environment},
            labels={
                "org.opencontainers.image.title": recipe.title,
                "org.opencontainers.image.version": __version__,
            },
            user=recipe.user,
        )
        references = [f"{recipe.repository}:{tag}" for tag in (__version__, "dev")]
        return write_archive(config, layers, references, self.output / f"{recipe.name}.tar")

    def _lock(self, recipe: Recipe, debian: DebianLayer) -> Lock:
        request = _key("lock", [[source.id, source.url] for source in debian.sources()], recipe.packages)
        return self.cache.lock(request, debian.lock, refresh=self.refresh)

    def _base(self, recipe: Recipe, debian: DebianLayer, lock: Lock) -> Layer:
        remainder = asdict(recipe.remainder) if recipe.remainder else None
        modules = [file_sha256(path) for path in base_modules()]
        key = _key("debian", lock.content_digest(), UNPRIVILEGED, remainder, modules)
        return self.cache.layer(key, lambda path: debian.write(lock, path))

    def _packages(self, recipe: Recipe, python: PythonLayers) -> Layer:
        wheels = [python.solv_wheel()] if recipe.solv else []
        parts = [SETUP / recipe.requirements, *wheels]
        return self.cache.layer(
            _compiled_key("packages", [file_sha256(path) for path in parts]),
            lambda path: python.write_packages(path, recipe, wheels),
        )

    def _project(self, recipe: Recipe, python: PythonLayers) -> Layer:
        with tempfile.TemporaryDirectory() as work:
            wheel = python.project_wheel(Path(work))
            content = wheel_digest(wheel, recipe.left_out)
            return self.cache.layer(
                _compiled_key("project", recipe.program, content),
                lambda path: python.write_project(path, recipe, wheel),
            )


def _key(*parts: Any) -> str:
    return json_sha256(parts)[:32]


def base_modules() -> list[Path]:
    """Give the modules that decide what the lowest layer looks like."""
    here = [Path(__file__).with_name(f"{name}.py") for name in ("debian", "layer", "shrink")]
    return here + sorted(Path(install_deb.__file__).parent.glob("*.py"))


def _compiled_key(*parts: Any) -> str:
    """Give the key of a layer that holds modules: what another interpreter compiles has other bytes."""
    return _key(*parts, sys.version, file_sha256(Path(__file__).with_name("python.py")))
