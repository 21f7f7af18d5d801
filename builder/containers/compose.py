"""From recipes to archives: which layers an image has, and under which keys they are kept."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from containers import debian
from containers.archive import Archive, ImageConfig, write_archive
from containers.cache import LayerCache
from containers.debian import DebianLayer
from containers.layer import Layer
from containers.python import PythonLayers
from containers.recipes import ENVIRONMENT, PYTHON, RELEASE, SETUP, UNPRIVILEGED, Recipe
from image_composer import __version__
from image_composer.cli.session import Session
from image_composer.digest import file_sha256, json_sha256
from image_composer.provider import load_providers
from image_composer.repository.lock import Lock
from image_composer.spec.image import Architecture

ARCHITECTURE = Architecture.X86_64
OWN_CODE = (Path(__file__).parent, Path(debian.__file__).parents[1] / "image_composer" / "root")
"""What makes the lowest layer; the key of that one holds its digest."""


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
        python = PythonLayers(self.session.runner)
        python.check_interpreter()
        native = load_providers()["debian"].manifest(RELEASE).architectures[ARCHITECTURE].package_architecture
        with tempfile.TemporaryDirectory() as work:
            wheel = python.project_wheel(Path(work))
            layers = [
                self._base(recipe, native),
                self._packages(recipe, python),
                self.cache.layer(
                    self._key("project", recipe.program, file_sha256(wheel)),
                    lambda path: python.write_project(path, recipe, wheel),
                ),
            ]
        config = ImageConfig(
            architecture=native,
            entrypoint=[recipe.program],
            environment={**ENVIRONMENT, **recipe.environment},
            labels={
                "org.opencontainers.image.title": recipe.title,
                "org.opencontainers.image.version": __version__,
                "org.opencontainers.image.base.name": "",
            },
            user=recipe.user,
        )
        references = [f"{recipe.repository}:{tag}" for tag in (__version__, "dev")]
        return write_archive(config, layers, references, self.output / f"{recipe.name}.tar")

    def _base(self, recipe: Recipe, native: str) -> Layer:
        request = self._key("lock", *recipe.packages)
        lock = self.cache.lock(
            request, lambda: debian.resolve_packages(self.session, recipe, ARCHITECTURE), refresh=self.refresh
        )
        return self.cache.layer(
            self._key("debian", lock.content_digest(), str(UNPRIVILEGED), *map(file_sha256, own_modules())),
            lambda path: self._install(lock, native, path),
        )

    def _install(self, lock: Lock, native: str, path: Path) -> Layer:
        return DebianLayer(self.session, lock, native).write(path)

    def _packages(self, recipe: Recipe, python: PythonLayers) -> Layer:
        wheels = [python.solv_wheel()] if recipe.solv else []
        parts = [SETUP / recipe.requirements, *wheels, Path(__file__).with_name("python.py")]
        return self.cache.layer(
            self._key("packages", PYTHON, *map(file_sha256, parts)),
            lambda path: python.write_packages(path, recipe, wheels),
        )

    @staticmethod
    def _key(*parts: str) -> str:
        return json_sha256(parts)[:32]


def own_modules() -> list[Path]:
    """Give the modules that decide what the lowest layer looks like."""
    here, root = OWN_CODE
    return sorted([here / "debian.py", here / "layer.py", *root.glob("*.py")])
