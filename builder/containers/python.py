"""The upper layers: pinned Python packages, and the project itself with the commands that start it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from containers.layer import Layer, write_layer
from containers.recipes import CHECKOUT, PYTHON, SETUP, Recipe
from image_composer.errors import ComposerError
from image_composer.run import Runner
from image_composer.steps.fetch import EARLIEST

PACKAGES = f"usr/local/lib/python{PYTHON}/dist-packages"
"""Where Debian's interpreter looks for packages that are not Debian's."""

PROGRAMS = "usr/local/bin"

UNUSED = (
    "bin", "*/tests", "*/test", "*/testing/data",
    "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.c", "**/*.h",
    "*.dist-info/RECORD", "*.dist-info/direct_url.json", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED",
)  # fmt: skip
"""What of the packages is never used by a program that runs; installation records differ from what is left."""

BOTOCORE_SERVICES = frozenset({"s3", "sts", "sso", "sso-oidc"})
"""Services whose description is kept: S3, and those that boto3 gets credentials from."""

START = """#!/usr/bin/python3 -sP
import sys

from {module} import {function}

sys.exit({function}())
"""
"""A command: without packages of the user, and without the folder that it stands in as a place of modules."""


@dataclass(frozen=True, slots=True)
class PythonLayers:
    """Makes layers with the interpreter that this runs on, which must be of the images' version."""

    runner: Runner

    def check_interpreter(self) -> None:
        """See that what is compiled here runs in the images.

        Raises:
            ComposerError: CONTAINER_PYTHON.
        """
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if version != PYTHON:
            raise ComposerError(
                "CONTAINER_PYTHON",
                f"the images hold Python {PYTHON}, and the packages for it can't be made with Python {version}",
                hint=f"make PYTHON=/path/to/python{PYTHON} containers",
            )

    def solv_wheel(self) -> Path:
        """Give the wheel of the solver's bindings, built when this machine has none yet."""
        script = SETUP / "solv.sh"
        done = self.runner.run([script, sys.executable], cwd=CHECKOUT, env=os.environ)
        return Path(done.stdout.decode().strip())

    def project_wheel(self, folder: Path) -> Path:
        """Build the wheel of the project, the same from the same files."""
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            folder,
        ]
        self.runner.run(argv, cwd=CHECKOUT, shown_as="hatchling build --target wheel")
        return next(folder.glob("*.whl"))

    def write_packages(self, path: Path, recipe: Recipe, wheels: list[Path]) -> Layer:
        """Write a layer of the pinned packages, and of wheels beside them."""
        with tempfile.TemporaryDirectory() as work:
            tree = Path(work)
            site = tree / PACKAGES
            argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            argv += ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--no-warn-conflicts"]
            argv += ["--target", str(site), "--requirement", str(SETUP / recipe.requirements)]
            self.runner.run(argv, env=os.environ)  # pip's own settings, such as this machine's index, are there
            for wheel in wheels:
                unpack_wheel(wheel, site)
            drop_unused(site)
            self._compile(tree)
            return self._write(tree, path, f"Python packages of {recipe.requirements}")

    def write_project(self, path: Path, recipe: Recipe, wheel: Path) -> Layer:
        """Write a layer of the project and the command that starts it."""
        with tempfile.TemporaryDirectory() as work:
            tree = Path(work)
            unpack_wheel(wheel, tree / PACKAGES)
            self._compile(tree)
            program = tree / PROGRAMS / recipe.program
            program.parent.mkdir(parents=True)
            module, function = entry_point(wheel, recipe.program)
            program.write_text(START.format(module=module, function=function))
            program.chmod(0o755)
            return self._write(tree, path, wheel.name)

    def _compile(self, tree: Path) -> None:
        """Compile all modules, so that programs start quickly where nothing can be written.

        The compiled form is not held against its source's time when it is loaded, since all times are alike.
        """
        argv = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        argv += ["-s", str(tree), "-p", "/", str(tree)]
        self.runner.run(argv, env={"PYTHONHASHSEED": "0"})

    def _write(self, tree: Path, path: Path, comment: str) -> Layer:
        return write_layer(tree, path, epoch=EARLIEST, comment=comment, tools=self.runner)


def unpack_wheel(wheel: Path, site: Path) -> None:
    """Unpack a wheel that brings nothing but packages, as ours and that of `solv` do."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


def drop_unused(site: Path) -> None:
    """Remove what nobody uses of packages."""
    for path in [path for pattern in UNUSED for path in site.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    services = site / "botocore" / "data"
    for folder in services.iterdir() if services.is_dir() else ():
        if folder.is_dir() and folder.name not in BOTOCORE_SERVICES:
            shutil.rmtree(folder)


def entry_point(wheel: Path, name: str) -> tuple[str, str]:
    """Give module and function of a command that a wheel brings."""
    with zipfile.ZipFile(wheel) as archive:
        text = next(archive.read(path).decode() for path in archive.namelist() if path.endswith("entry_points.txt"))
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names as they are
    parser.read_string(text)
    module, _, function = parser["console_scripts"][name].partition(":")
    return module, function
