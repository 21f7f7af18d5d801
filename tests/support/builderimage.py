"""The project's container images for tests, and one that also knows a distribution made for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from containers.archive import ImageConfig, write_archive
from containers.layer import Layer, write_layer
from image_composer.run import Runner
from support.distribution import TESTS

IN_IMAGE = "opt/testing"
"""Where the image holds the distribution."""


def project_images(folder: Path) -> dict[str, Path]:
    """Make the project's images, as `make containers` does; what is kept of earlier ones makes this quick."""
    argv = [sys.executable, "-m", "containers", "--output", str(folder)]
    done = subprocess.run(argv, capture_output=True, check=False, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    return {name: folder / f"{name}.tar" for name in ("builder", "operator")}


def with_distribution(builder: Path, distribution: Path, reference: str, folder: Path) -> Path:
    """Give a builder's image with one layer more, which holds a distribution that `write_distribution` has written.

    Args:
        builder: archive of the image.
        distribution: the folder of the distribution.
        reference: name and tag of the new image.
        folder: to work in.
    """
    with tarfile.open(builder) as archive:
        manifest = json.loads(_read(archive, "manifest.json"))[0]
        config = json.loads(_read(archive, manifest["Config"]))
    folder.mkdir(parents=True, exist_ok=True)
    Runner().run(["tar", "-xf", builder, "-C", folder])
    layers = [_layer(folder / name) for name in manifest["Layers"]]
    tree = folder / "tree"
    target = tree / IN_IMAGE
    target.mkdir(parents=True)
    Runner().run(["cp", "-r", f"{distribution}/.", target])
    (target / "support").mkdir()
    for name in ("testing_provider.py",):
        (target / "support" / name).write_bytes((TESTS / "support" / name).read_bytes())
    layer = write_layer(tree, folder / "layer.tar", epoch=0, comment="a distribution for tests", tools=Runner())
    running = config["config"]
    environment = dict(entry.split("=", 1) for entry in running["Env"])
    environment |= {"PYTHONPATH": f"/{IN_IMAGE}", "TESTING_DISTRIBUTION": f"/{IN_IMAGE}"}
    made = ImageConfig(
        architecture=config["architecture"],
        entrypoint=running["Entrypoint"],
        environment=environment,
        labels=running["Labels"],
        user=running.get("User", ""),
    )
    return write_archive(made, [*layers, layer], [reference], folder / "testing-builder.tar").path


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def _layer(path: Path) -> Layer:
    return Layer(path, path.name, path.stat().st_size, 0, "the project's")
