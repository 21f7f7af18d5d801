"""The upper layers: pinned Python packages, and the project itself with the commands that start it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Collection
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from containers.layer import Layer, write_layer
from containers.recipes import CHECKOUT, PYTHON, SETUP, Recipe
from image_composer.digest import bytes_sha256, json_sha256
from image_composer.errors import ComposerError
from image_composer.run import Runner
from image_composer.steps.fetch import EARLIEST

PACKAGES = f"usr/local/lib/python{PYTHON}/dist-packages"
"""Where Debian's interpreter looks for packages that are not Debian's."""

PROGRAMS = "usr/local/bin"

UNUSED = (
    "bin", "*/tests", "*/test",
    "kubernetes/client/api/*", "kubernetes/client/models/*",  # the half for threads; only names that are used load them
    "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.c", "**/*.h",
    "*.dist-info/RECORD", "*.dist-info/direct_url.json", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED",
)  # fmt: skip
"""What of the packages is never used by a program that runs; installation records differ from what is left."""

SOURCELESS = ("kubernetes/aio/client/api", "kubernetes/aio/client/models")
"""Folders of generated code, 30 MB of it, that is there in its compiled form only."""

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
            for folder in SOURCELESS:
                drop_sources(site / folder)
            return self._write(tree, path, f"Python packages of {recipe.requirements}")

    def write_project(self, path: Path, recipe: Recipe, wheel: Path) -> Layer:
        """Write a layer of the project and the command that starts it."""
        with tempfile.TemporaryDirectory() as work:
            tree = Path(work)
            unpack_wheel(wheel, tree / PACKAGES, recipe.left_out)
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


def check_interpreter(version: str) -> None:
    """See that what an interpreter of this version compiles runs in the images.

    Raises:
        ComposerError: CONTAINER_PYTHON.
    """
    if version != PYTHON:
        raise ComposerError(
            "CONTAINER_PYTHON",
            f"the images hold Python {PYTHON}, and packages for it can't be made with Python {version}",
            hint=f"make PYTHON=/path/to/python{PYTHON} containers",
        )


def unpack_wheel(wheel: Path, site: Path, left_out: Collection[str] = ()) -> None:
    """Unpack a wheel that brings nothing but packages, as ours and that of `solv` do.

    Args:
        wheel: the file.
        site: where packages are looked for.
        left_out: packages of it that are not wanted.
    """
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site, [entry.filename for entry in wanted_entries(archive, left_out)])


def wanted_entries(archive: zipfile.ZipFile, left_out: Collection[str]) -> list[zipfile.ZipInfo]:
    """Give what is unpacked of a wheel: not the list of its files, which would not be true of what is left."""
    return [
        entry
        for entry in archive.infolist()
        if entry.filename.partition("/")[0] not in left_out and not entry.filename.endswith(".dist-info/RECORD")
    ]


def wheel_digest(wheel: Path, left_out: Collection[str]) -> str:
    """Give the digest of what is unpacked of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return json_sha256(
            {entry.filename: bytes_sha256(archive.read(entry)) for entry in wanted_entries(archive, left_out)}
        )


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


def drop_sources(folder: Path) -> None:
    """Put the compiled modules of a folder into the place of their sources."""
    for compiled in folder.glob("__pycache__/*.pyc"):
        module = compiled.name.partition(".")[0]
        compiled.rename(folder / f"{module}.pyc")
        (folder / f"{module}.py").unlink()


def entry_point(wheel: Path, name: str) -> tuple[str, str]:
    """Give module and function of a command that a wheel brings."""
    with zipfile.ZipFile(wheel) as archive:
        text = next(archive.read(path).decode() for path in archive.namelist() if path.endswith("entry_points.txt"))
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names as they are
    parser.read_string(text)
    module, _, function = parser["console_scripts"][name].partition(":")
    return module, function
