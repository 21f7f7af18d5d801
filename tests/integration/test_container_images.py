"""The container images as `make containers` makes them, run with the rights that pods have."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_composer import __version__
from support.oci import Image, unpacked

pytestmark = [pytest.mark.network, pytest.mark.build, pytest.mark.timeout(1200)]

CHECKOUT = Path(__file__).parents[2]
MIB = 1 << 20
LARGEST = {"builder": 420 * MIB, "operator": 150 * MIB}
"""Bytes that an image may unpack to: what a node has to fetch before its first build. QEMU and its firmware, by which a
pod starts what it has made, are 100 MiB of the builder."""


def make(folder: Path, *names: str, **environment: str) -> None:
    argv = [sys.executable, "-m", "containers", "--output", str(folder), *names]
    done = subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def images(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    if os.geteuid() != 0:
        pytest.skip("needs root to give the images' files to their owners")
    folder = tmp_path_factory.mktemp("images")
    return {name: unpacked(archives / f"{name}.tar", folder / name) for name in LARGEST}


@pytest.fixture
def builder(images: dict[str, Image]) -> Image:
    return images["builder"]


@pytest.fixture
def operator(images: dict[str, Image]) -> Image:
    return images["operator"]


def files(image: Image) -> Iterator[tuple[Path, os.stat_result]]:
    for path in image.root.rglob("*"):
        yield path, path.lstat()


def inside(image: Image, code: str) -> str:
    done = image.run("-c", code, program=["python3"])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_builder_tells_its_version_to_anybody(builder: Image) -> None:
    done = builder.run("--version")
    assert done.stdout == f"image-composer, version {__version__}\n", done.stderr


def test_the_builder_knows_the_distributions_and_checks_documents(builder: Image) -> None:
    assert "Debian 12 (bookworm)" in builder.run("providers").stdout
    example = {CHECKOUT / "examples" / "debian-12.yaml": "/document.yaml"}
    done = builder.run("stage", "validate", "--workspace", "/tmp/workspace", "--file", "/document.yaml", mounts=example)
    assert done.returncode == 0, done.stderr


def test_the_builder_has_all_that_composing_images_needs_in_a_privileged_pod(builder: Image) -> None:
    said = builder.run("doctor", privileged=True).stdout
    needed = said.partition("\n\n")[0]
    assert re.search(r"solv +with Debian support", needed)
    assert re.search(r"namespaces +user, mount, pid, net, ipc and uts can be made", needed)
    missing = [line for line in needed.splitlines() if line.startswith("  -- ") and "space" not in line]
    assert missing == []


def test_the_builder_leaves_the_choice_of_a_user_to_the_pod(builder: Image) -> None:
    assert "User" not in builder.config


def test_the_operator_starts_as_nobody_on_a_read_only_root(operator: Image) -> None:
    done = operator.run("--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: image-composer-operator")
    assert operator.config["User"] == "65532:65532"
    assert inside(operator, "import os; print(os.getuid(), os.getgid())") == "65532 65532"


def test_all_of_the_operator_can_be_loaded_with_what_its_image_holds(operator: Image) -> None:
    code = """
import importlib, pkgutil, image_composer_operator as package
for module in pkgutil.walk_packages(package.__path__, "image_composer_operator."):
    importlib.import_module(module.name)
import kopf, kubernetes.aio.client
kubernetes.aio.client.CoreV1Api, kubernetes.aio.client.BatchV1Api, kubernetes.aio.client.V1Job
print("loaded")
"""
    assert inside(operator, code) == "loaded"


def test_the_operator_has_no_shell_no_package_manager_and_no_program_with_rights_of_its_own(operator: Image) -> None:
    programs = {path.name for place in ("usr/bin", "usr/sbin") for path in (operator.root / place).iterdir()}
    assert programs & {"sh", "bash", "dash", "dpkg", "perl", "su", "openssl", "tar"} == set()
    special = [path for path, status in files(operator) if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000]
    assert special == []
    assert operator.run("-c", "true", program=["sh"]).returncode != 0


@pytest.mark.parametrize("name", LARGEST)
def test_an_image_holds_the_projects_version_and_certificates(name: str, images: dict[str, Image]) -> None:
    code = """
import importlib.metadata, ssl
print(importlib.metadata.version("image-composer"), ssl.create_default_context().cert_store_stats()["x509_ca"] > 50)
"""
    assert inside(images[name], code) == f"{__version__} True"


@pytest.mark.parametrize("name", LARGEST)
def test_an_image_is_small(name: str, images: dict[str, Image]) -> None:
    assert sum(status.st_size for _, status in files(images[name]) if stat.S_ISREG(status.st_mode)) < LARGEST[name]


@pytest.mark.parametrize("name", LARGEST)
def test_links_of_programs_lead_somewhere(name: str, images: dict[str, Image]) -> None:
    root = images[name].root
    places = [root / "usr/bin", root / "usr/sbin", root / "usr/local/bin"]
    links = [path for place in places for path in place.iterdir() if path.is_symlink()]
    assert [path for path in links if not leads_somewhere(path, root)] == []


def leads_somewhere(path: Path, root: Path) -> bool:
    """Follow links as they are meant: below the root."""
    for _ in range(40):
        if not path.is_symlink():
            return path.exists()
        target = path.readlink()
        path = root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
    return False


@pytest.mark.parametrize("name", LARGEST)
def test_nothing_is_compiled_when_a_program_starts(name: str, images: dict[str, Image]) -> None:
    site = images[name].root / "usr/local/lib/python3.11/dist-packages"
    sources = [path for path in site.rglob("*.py") if path.stat().st_size]
    assert len(sources) > 100
    assert [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))] == []


def test_images_can_be_made_anew_to_the_byte(archives: Path, tmp_path: Path) -> None:
    """With the same lock, and from nothing that was made before but the compiled bindings."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = tmp_path / "cache" / "image-composer-dev"
    (kept / "containers").mkdir(parents=True)
    (kept / "wheels").symlink_to(cache / "image-composer-dev" / "wheels")
    for lock in (cache / "image-composer-dev" / "containers").glob("*.lock.json"):
        (kept / "containers" / lock.name).write_bytes(lock.read_bytes())
    own = os.environ.get("IMAGE_COMPOSER_CACHE_DIR") or str(cache / "image-composer")
    make(tmp_path / "again", XDG_CACHE_HOME=str(tmp_path / "cache"), IMAGE_COMPOSER_CACHE_DIR=own)
    for name in LARGEST:
        assert (tmp_path / "again" / f"{name}.tar").read_bytes() == (archives / f"{name}.tar").read_bytes()
