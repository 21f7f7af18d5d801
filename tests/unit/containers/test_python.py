from __future__ import annotations

import compileall
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from containers.layer import Layer
from containers.python import (
    PACKAGES,
    PROGRAMS,
    PythonLayers,
    check_interpreter,
    drop_sources,
    drop_unused,
    entry_point,
    unpack_wheel,
    wheel_digest,
)
from containers.recipes import PYTHON, Recipe
from image_composer.errors import ComposerError
from image_composer.run import Runner

FILES = {
    "ours/__init__.py": "",
    "ours/main.py": "def main():\n    print('started')\n    return 3\n",
    "other/__init__.py": "",
    "ours-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: ours\nVersion: 1\n",
    "ours-1.dist-info/RECORD": "",
    "ours-1.dist-info/entry_points.txt": "[console_scripts]\nOurs-Run = ours.main:main\n",
}
RECIPE = Recipe(name="ours", title="", packages=(), requirements="", program="Ours-Run", left_out=("other",))


def wheel(folder: Path, **changed: str) -> Path:
    path = folder / "ours-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**FILES, **changed}.items():
            archive.writestr(name, content)
    return path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def test_a_wheel_is_unpacked_without_what_is_not_wanted(tmp_path: Path) -> None:
    unpack_wheel(wheel(tmp_path), tmp_path / "site", ("other",))
    assert files(tmp_path / "site") == FILES.keys() - {"other/__init__.py", "ours-1.dist-info/RECORD"}


@pytest.mark.parametrize(
    ("name", "differs"),
    [("ours/main.py", True), ("ours-1.dist-info/METADATA", True), ("other/__init__.py", False),
     ("ours-1.dist-info/RECORD", False)],
)  # fmt: skip
def test_only_what_is_unpacked_makes_another_layer(name: str, differs: bool, tmp_path: Path) -> None:
    before = wheel_digest(wheel(tmp_path), ("other",))
    assert (wheel_digest(wheel(tmp_path, **{name: "changed"}), ("other",)) != before) == differs


def test_an_entry_point_is_found_by_its_exact_name(tmp_path: Path) -> None:
    assert entry_point(wheel(tmp_path), "Ours-Run") == ("ours.main", "main")


def test_services_that_nobody_talks_to_are_dropped_and_so_are_tests_and_programs(tmp_path: Path) -> None:
    kept = {
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "botocore/data/sts/service-2.json.gz",
        "botocore/data/endpoints.json",
        "botocore/session.py",
        "kubernetes/aio/client/api/core_v1_api.py",
        "kubernetes/client/__init__.py",
        "kubernetes/client/configuration.py",
        "boto3-1.dist-info/METADATA",
        "yaml/_yaml.so",
        "ours/testing.py",
    }
    dropped = {
        "botocore/data/ec2/service-2.json.gz",
        "kubernetes/client/api/core_v1_api.py",
        "kubernetes/client/models/v1_pod.py",
        "bin/kopf",
        "ours/tests/test_it.py",
        "aiohttp/_parser.c",
        "aiohttp/_parser.pyx",
        "boto3-1.dist-info/RECORD",
    }
    put(tmp_path, *kept, *dropped)
    drop_unused(tmp_path)
    assert files(tmp_path) == kept


def test_a_module_without_source_can_be_loaded(tmp_path: Path) -> None:
    package = tmp_path / "generated"
    put(tmp_path, "generated/__init__.py")
    (package / "part.py").write_text("ANSWER = 42\n")
    assert compileall.compile_dir(str(tmp_path), quiet=2, invalidation_mode=None)
    drop_sources(package)
    assert files(tmp_path) == {"generated/__init__.pyc", "generated/part.pyc"}
    code = "from generated.part import ANSWER; print(ANSWER)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"


def written(tmp_path: Path, name: str) -> Layer:
    return PythonLayers(Runner()).write_project(tmp_path / name, RECIPE, wheel(tmp_path))


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xf", written(tmp_path, "layer.tar").path], check=True)
    return folder


def test_the_project_is_where_debian_looks_for_packages_compiled(unpacked: Path) -> None:
    site = unpacked / PACKAGES
    assert (site / "ours/main.py").exists()
    assert list(site.glob("ours/__pycache__/main.*.pyc")) != []
    assert not (site / "other").exists()


def test_a_command_starts_what_the_entry_point_names(unpacked: Path) -> None:
    program = unpacked / PROGRAMS / "Ours-Run"
    assert program.read_text().startswith("#!/usr/bin/python3 ")
    assert program.stat().st_mode & 0o777 == 0o755
    environment = {"PYTHONPATH": str(unpacked / PACKAGES)}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("started\n", 3)


def test_compiled_modules_know_where_they_will_be_and_no_time(unpacked: Path) -> None:
    content = next((unpacked / PACKAGES).glob("ours/__pycache__/main.*.pyc")).read_bytes()
    assert f"/{PACKAGES}/ours/main.py".encode() in content
    assert b"/tmp" not in content
    assert int.from_bytes(content[4:8], "little") == 0b01  # PEP 552: by hash, and not held against the source


def test_the_same_project_gives_the_same_layer(tmp_path: Path) -> None:
    assert written(tmp_path, "first.tar").digest == written(tmp_path, "second.tar").digest


def test_an_interpreter_of_another_version_is_refused() -> None:
    check_interpreter(PYTHON)
    with pytest.raises(ComposerError, match=r"with Python 3\.13$") as raised:
        check_interpreter("3.13")
    assert raised.value.code == "CONTAINER_PYTHON"
    assert raised.value.hint == f"make PYTHON=/path/to/python{PYTHON} containers"
