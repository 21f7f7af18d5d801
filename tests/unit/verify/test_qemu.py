from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from image_composer.errors import VerifyError
from image_composer.run import Runner
from image_composer.spec.image import Architecture
from image_composer.verify.boot import own_variables
from image_composer.verify.platforms import PLATFORMS
from image_composer.verify.qemu import (
    KVM_DEVICE,
    QEMU,
    Accelerator,
    Console,
    Firmware,
    Hardware,
    choose_accelerator,
    find_firmware,
    kvm_works,
    machine_command,
    probe_runs,
)


def script(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "qemu"
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return str(path)


def after(command: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == option]


def test_the_probe_comes_to_its_end_on_a_machine_that_works() -> None:
    assert probe_runs(Runner(), Accelerator.TCG, qemu=QEMU, limit=30)


def test_asking_for_kvm_gives_an_answer_within_the_limit() -> None:
    started = time.monotonic()
    works = kvm_works(Runner())
    assert time.monotonic() - started < 10
    assert not works or KVM_DEVICE.exists()


def test_a_machine_that_hangs_is_killed_and_counts_as_failed(tmp_path: Path) -> None:
    started = time.monotonic()
    hanging = script(tmp_path, f"echo $$ >{tmp_path}/pid", "exec sleep 600")
    assert not kvm_works(Runner(), device=Path("/dev/null"), qemu=hanging, limit=0.5)
    assert time.monotonic() - started < 10
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.parametrize("status", [0, 1, 134])
def test_a_machine_that_ends_in_any_other_way_counts_as_failed(tmp_path: Path, status: int) -> None:
    ending = script(tmp_path, f"exit {status}")
    assert not kvm_works(Runner(), device=Path("/dev/null"), qemu=ending)


@pytest.mark.parametrize(("device", "qemu"), [("/proc/nonexistent", QEMU), ("/dev/null", "/proc/nonexistent")])
def test_without_the_device_or_qemu_there_is_no_kvm(device: str, qemu: str) -> None:
    assert not kvm_works(Runner(), device=Path(device), qemu=qemu)


def test_the_image_is_not_written_to_unless_asked() -> None:
    [drive] = after(machine_command(Path("/i.raw"), Hardware(), Console.CAPTURED), "-drive")
    assert "file=/i.raw,format=raw,snapshot=on" in drive
    [drive] = after(machine_command(Path("/i.raw"), Hardware(snapshot=False), Console.CAPTURED), "-drive")
    assert "snapshot=off" in drive


def test_a_comma_in_a_name_does_not_end_the_option() -> None:
    [drive] = after(machine_command(Path("/a,b.raw"), Hardware(), Console.CAPTURED), "-drive")
    assert "file=/a,,b.raw," in drive


@pytest.mark.parametrize(
    ("accelerator", "expected"),
    [
        (Accelerator.KVM, ["kvm", "host"]),
        (Accelerator.TCG, ["tcg,thread=multi", "max,-cx16"]),
    ],
)
def test_the_processor_follows_the_accelerator(accelerator: Accelerator, expected: list[str]) -> None:
    command = machine_command(Path("/i.raw"), Hardware(accelerator=accelerator), Console.CAPTURED)
    assert after(command, "-accel") + after(command, "-cpu") == expected


def test_ssh_is_reachable_from_this_machine_only_and_only_when_asked() -> None:
    command = machine_command(Path("/i.raw"), Hardware(ssh_port=2222), Console.CAPTURED)
    assert after(command, "-netdev") == ["user,id=net,hostfwd=tcp:127.0.0.1:2222-:22"]
    assert after(machine_command(Path("/i.raw"), Hardware(), Console.CAPTURED), "-netdev") == ["user,id=net"]


def test_the_firmwares_code_is_not_written_to() -> None:
    firmware = Firmware(Path("/code.fd"), Path("/vars.fd"))
    code, variables, _ = after(machine_command(Path("/i.raw"), Hardware(firmware=firmware), Console.TERMINAL), "-drive")
    assert "readonly=on" in code
    assert "file=/code.fd" in code
    assert "readonly" not in variables


def test_code_and_variables_of_one_size_are_taken_together(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/OVMF"
    folder.mkdir(parents=True)
    for name in ("OVMF_CODE_4M.fd", "OVMF_CODE.fd", "OVMF_VARS.fd"):
        (folder / name).touch()
    assert find_firmware(tmp_path) == Firmware(folder / "OVMF_CODE.fd", folder / "OVMF_VARS.fd")


def test_firmware_with_secure_boot_is_guarded_by_system_management_mode(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/OVMF"
    folder.mkdir(parents=True)
    for name in ("OVMF_CODE_4M.fd", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd"):
        (folder / name).touch()
    found = find_firmware(tmp_path, secure=True)
    assert found == Firmware(folder / "OVMF_CODE_4M.secboot.fd", folder / "OVMF_VARS_4M.fd", secure=True)
    command = machine_command(Path("/i.raw"), Hardware(firmware=found), Console.CAPTURED)
    assert after(command, "-machine") == ["q35,smm=on"]
    assert "driver=cfi.pflash01,property=secure,value=on" in after(command, "-global")
    assert not find_firmware(tmp_path).secure


def test_a_machine_writes_to_variables_of_its_own_only_where_they_are_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "vars.fd").write_bytes(b"empty")
    shared = Hardware(firmware=Firmware(Path("/code.fd"), tmp_path / "vars.fd"))
    used = own_variables(shared, tmp_path).firmware
    assert used is not None
    assert (used.variables.name, used.variables.read_bytes()) == ("variables.fd", b"empty")
    kept = replace(shared, firmware=replace(shared.firmware, kept=True) if shared.firmware else None)
    assert own_variables(kept, tmp_path) == kept


def test_a_machine_of_another_architecture_has_its_program_board_and_processor(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/AAVMF"
    folder.mkdir(parents=True)
    for name in ("AAVMF_CODE.fd", "AAVMF_VARS.fd"):
        (folder / name).touch()
    firmware = find_firmware(tmp_path, architecture=Architecture.AARCH64)
    assert firmware == Firmware(folder / "AAVMF_CODE.fd", folder / "AAVMF_VARS.fd")
    accelerator = choose_accelerator(Runner(), Architecture.AARCH64)
    hardware = Hardware(accelerator, firmware, architecture=Architecture.AARCH64)
    command = machine_command(Path("/i.raw"), hardware, Console.CAPTURED)
    assert command[0] == "qemu-system-aarch64"
    assert after(command, "-machine") == ["virt"]
    assert after(command, "-cpu") == ["max,pauth-impdef=on"]
    assert after(command, "-accel") == ["tcg,thread=multi"]


@pytest.mark.parametrize("architecture", list(Architecture))
@pytest.mark.parametrize("secure", [True, False])
def test_firmware_of_one_architecture_is_not_taken_for_another(
    architecture: Architecture, secure: bool, tmp_path: Path
) -> None:
    for each in set(Architecture) - {architecture}:
        for name in (name for pair in PLATFORMS[each].firmware for name in pair):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    with pytest.raises(VerifyError) as caught:
        find_firmware(tmp_path, architecture=architecture, secure=secure)
    assert caught.value.code == "VERIFY_NO_FIRMWARE"
    assert str(architecture) in caught.value.message


def test_a_machine_without_firmware_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(VerifyError) as caught:
        find_firmware(tmp_path)
    assert caught.value.code == "VERIFY_NO_FIRMWARE"
    assert "ovmf" in (caught.value.hint or "")
