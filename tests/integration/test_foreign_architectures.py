"""An image for the architecture that this machine doesn't have: composed by emulation, or refused before anything."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from image_composer.disk.gpt_types import ROOT_TYPES
from image_composer.inspect.image import inspect_image
from image_composer.inspect.model import ImageReport
from image_composer.root.foreign import MACHINES, emulator_name, find_emulator, read_handlers, runs_here
from image_composer.run import Runner
from image_composer.spec.image import Architecture
from support.composer import Composer, nothing_left, write_document
from support.debrepo import DebRepository, served, write_repository
from support.debs import Deb
from support.distribution import DRACUT, KERNEL, OwnRepository, document, write_distribution
from support.foreign import FOREIGN, foreign_emulator
from support.openpgp import Key, Keychain
from support.pe import make_program, make_stub
from support.worlds import without

EFI, DEBIAN_NAME, LOADER = {
    Architecture.X86_64: ("x64", "amd64", "BOOTX64.EFI"),
    Architecture.AARCH64: ("aa64", "arm64", "BOOTAA64.EFI"),
}[FOREIGN]

FOLDER = "usr/lib/systemd/boot/efi"

BOOT = Deb(
    "tiny-boot",
    files={
        f"boot/vmlinuz-{KERNEL}": b"kernel" * 1000,
        f"{FOLDER}/linux{EFI}.efi.stub": make_stub(),
        f"{FOLDER}/systemd-boot{EFI}.efi": make_program(),
        "usr/bin/dracut": DRACUT,
        "boot/efi/.keep": "",
    },
    scripts={"postinst": "#!/bin/sh\nuname -m >/configured-on\n"},
    executable=frozenset({"usr/bin/dracut"}),
)

DOCUMENT = document(target={"distribution": "testing", "release": "1", "architecture": str(FOREIGN)})


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory, cache: Path, keychain: Keychain, key: Key) -> Iterator[Composer]:
    """The composer with the essential packages of Debian 12 for the other architecture and a kernel of a few bytes."""
    repository = DebRepository([BOOT], architecture=DEBIAN_NAME, valid_for=None)
    facts = {
        "architectures": {str(FOREIGN): {"packageArchitecture": DEBIAN_NAME, "kernelPackage": "tiny-boot"}},
        "bootFiles": {
            str(FOREIGN): {
                "kernel": "/boot/vmlinuz-{kernel}",
                "stub": f"/{FOLDER}/linux{EFI}.efi.stub",
                "loader": f"/{FOLDER}/systemd-boot{EFI}.efi",
            }
        },
    }
    with served(write_repository(repository, tmp_path_factory.mktemp("foreign-mirror"), keychain, key)) as url:
        folder = tmp_path_factory.mktemp("foreign")
        own = OwnRepository(url, key)
        yield Composer(cache, write_distribution(folder, own, on_debian=True, facts=facts))


@pytest.fixture(scope="module")
def workspace(foreign: Composer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build leaves in its workspace."""
    foreign_emulator()
    folder = tmp_path_factory.mktemp("foreign-build")
    handlers, ran = read_handlers(), runs_here(FOREIGN)
    file, place = write_document(folder, DOCUMENT), folder / "workspace"
    outcome = foreign.run("build", "-f", file, "-o", folder / "out", "--workspace", place)
    assert outcome.status == 0, outcome.said
    assert (read_handlers(), runs_here(FOREIGN)) == (handlers, ran), "the machine's own handlers have changed"
    return place


@pytest.fixture(scope="module")
def report(workspace: Path) -> ImageReport:
    [image] = (workspace.parent / "out").glob("*.raw")
    assert image.name == f"edge-1.0-{FOREIGN}.raw"
    return inspect_image(image, Runner())


@pytest.mark.network
@pytest.mark.build
class TestImage:
    def test_its_own_programs_ran_its_packages_scripts(self, workspace: Path) -> None:
        root = workspace / "root"
        assert (root / "configured-on").read_text() == f"{FOREIGN}\n"
        with (root / "usr/bin/dash").open("rb") as program:
            assert struct.unpack_from("<H", program.read(20), 18) == (MACHINES[FOREIGN],)

    def test_nothing_of_the_emulator_is_left_in_it(self, workspace: Path) -> None:
        root = workspace / "root"
        found = [path for path in root.rglob("*") if "qemu" in path.name or path.name == "program"]
        assert found == []

    def test_firmware_and_systemd_find_what_they_look_for_on_that_architecture(self, report: ImageReport) -> None:
        assert {f"/EFI/BOOT/{LOADER}", f"/EFI/systemd/systemd-boot{EFI}.efi"} <= set(report.boot_files)
        [root] = [partition for partition in report.partitions if partition.label == "root"]
        assert root.type == str(ROOT_TYPES[FOREIGN])

    def test_its_packages_are_of_that_architecture(self, report: ImageReport) -> None:
        assert {package.architecture for package in report.packages} == {"all", DEBIAN_NAME}


@pytest.mark.skipif(os.geteuid() != 0, reason="hiding a program needs root")
def test_without_an_emulator_it_is_refused_before_anything_is_fetched(foreign: Composer, tmp_path: Path) -> None:
    if runs_here(FOREIGN):
        pytest.skip(f"this machine runs programs of {FOREIGN} by itself")
    file = write_document(tmp_path, DOCUMENT)
    lacking = replace(foreign, prefix=without(emulator_name(FOREIGN))) if find_emulator(FOREIGN) else foreign
    with nothing_left(foreign, tmp_path):
        outcome = lacking.run("build", "-f", file, "-o", tmp_path / "out")
    assert (outcome.status, outcome.code) == (2, "SPEC_FOREIGN_ARCHITECTURE"), outcome.said
    assert "spec.image.target.architecture" in outcome.error
    assert "qemu-user-static" in outcome.hint
    assert "resolve:" not in outcome.said


def test_validating_takes_it_everywhere(foreign: Composer, tmp_path: Path) -> None:
    assert foreign.run("validate", write_document(tmp_path, DOCUMENT)).status == 0
