"""Signing a disk: what needs the key is left until the key is there, and nothing else depends on it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from image_composer.digest import file_sha256
from image_composer.disk.authenticode import program_digest, read_signatures
from image_composer.disk.esp import EspFile, size_needed
from image_composer.disk.layout import PlannedPartition, plan
from image_composer.disk.sparse import create_sparse
from image_composer.errors import SigningError
from image_composer.report import Reporter
from image_composer.run import Runner
from image_composer.settings import MIB, Settings
from image_composer.spec.disk import Partition
from image_composer.spec.image import Architecture
from image_composer.spec.trusted import Enrolment, SecureBoot
from image_composer.steps.build import Build
from image_composer.steps.secure_boot import (
    UNSIGNED_DISK,
    Signed,
    planned_esp,
    prepared_files,
    sign_disk,
    signing_time,
)
from image_composer.workspace import AssembledRoot, FinishedDisk, NormalisedSpec, Workspace
from support.disks import EPOCH, IDENTITY, say
from support.events import Recorded
from support.keys import KeyPair, make_keys
from support.pe import make_program
from support.specs import PARTITIONS, image_spec

ASSEMBLED = AssembledRoot(kernel_version="6.1", epoch=EPOCH, trees={})
KERNEL = "EFI/Linux/edge-1.0.efi"
LOADERS = ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi")


def files_of(workspace: Workspace) -> list[EspFile]:
    """Give what a disk has that nobody has signed."""
    return [
        *(EspFile(PurePosixPath(path), workspace.boot / "loader") for path in LOADERS),
        EspFile(PurePosixPath(KERNEL), workspace.boot / "uki.efi"),
        EspFile(PurePosixPath("loader/loader.conf"), b"timeout 0\n"),
        EspFile(PurePosixPath("loader/entries.srel"), b"type1\n"),
    ]


def esp_partition() -> PlannedPartition:
    partitions = [Partition.model_validate(partition) for partition in PARTITIONS]
    contents = {"ESP": 33 * MIB, "root": 16 * MIB}
    architecture = Architecture.X86_64
    layout = plan(partitions, contents, disk_size=None, architecture=architecture, identity=IDENTITY, path_prefix="")
    return layout.by_label("ESP")


def unsigned(folder: Path, keys: KeyPair, enroll: str = "none") -> Build:
    """Give a build that has come as far as the stage `image`, with a small disk."""
    workspace, esp = Workspace(folder), esp_partition()
    workspace.boot.mkdir(parents=True)
    for name in ("loader", "uki.efi"):
        (workspace.boot / name).write_bytes(make_program(name.encode() * 1000))
    spec = image_spec(secureBoot={"certificate": keys.pem, "enroll": enroll})
    workspace.write(workspace.spec, NormalisedSpec(path="spec.image", image=spec))
    create_sparse(workspace.disk, esp.end + MIB)
    files = prepared_files(files_of(workspace), spec.secure_boot)
    planned = planned_esp(esp, files, workspace.folder)
    workspace.write(workspace.finished_disk, FinishedDisk(disk_size=esp.end + MIB, root_size=0, esp=planned))
    reporter = Reporter(Recorded())
    return Build(
        workspace=workspace,
        settings=Settings(cache_dir=folder / "cache", secure_boot_key=keys.key),
        reporter=reporter,
        runner=Runner(reporter),
        providers={},
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        host_os_release={},
        host_sources={},
    )


def signed(build: Build) -> Signed:
    found = sign_disk(build, ASSEMBLED)
    assert found is not None
    return found


def taken_out(build: Build, path: str) -> Path:
    """Copy a file off the disk."""
    disk, copy = build.workspace.disk, build.workspace.folder / "copy"
    say("mcopy", "-n", "-o", "-i", f"{disk}@@{esp_partition().offset}", f"::{path}", copy)
    return copy


def test_whatever_starts_the_machine_is_signed(keys: KeyPair, tmp_path: Path) -> None:
    build = unsigned(tmp_path / "build", keys)
    found = signed(build)
    for path in (*LOADERS, KERNEL):
        say("sbverify", "--cert", keys.certificate, taken_out(build, path))
    assert taken_out(build, "loader/loader.conf").read_text() == "timeout 0\n"
    assert found.certificate == keys.read
    assert build.workspace.bootable("uki.efi").read_bytes() == taken_out(build, KERNEL).read_bytes()
    assert build.workspace.bootable("kernel") == build.workspace.boot / "kernel"


@pytest.mark.parametrize("enroll", ["manual", "force"])
def test_the_certificate_is_brought_to_firmware_when_it_is_asked_for(
    keys: KeyPair, tmp_path: Path, enroll: str
) -> None:
    build = unsigned(tmp_path / "build", keys, enroll)
    signed(build)
    assert taken_out(build, "loader/loader.conf").read_text() == f"timeout 0\nsecure-boot-enroll {enroll}\n"
    for name in ("PK", "KEK", "db"):
        assert keys.read.der in taken_out(build, f"loader/keys/auto/{name}.auth").read_bytes()


def test_two_signed_disks_are_the_same_and_so_are_two_signings_of_one(keys: KeyPair, tmp_path: Path) -> None:
    builds = [unsigned(tmp_path / name, keys, "force") for name in ("one", "two")]
    accounts = [signed(build) for build in builds]
    digests = [file_sha256(build.workspace.disk) for build in builds]
    assert accounts[0] == accounts[1] == signed(builds[0])
    assert {*digests, file_sha256(builds[0].workspace.disk)} == {digests[0]}


def test_who_has_no_key_can_make_all_but_the_signatures(keys: KeyPair, tmp_path: Path) -> None:
    build = unsigned(tmp_path / "build", keys)
    before = file_sha256(build.workspace.disk)
    programs = dict.fromkeys(LOADERS, build.workspace.boot / "loader") | {KERNEL: build.workspace.boot / "uki.efi"}
    assert signed(build).unsigned == {
        UNSIGNED_DISK: before,
        **{f"/{path} without its signature": file_sha256(file) for path, file in programs.items()},
    }
    copy = taken_out(build, KERNEL)
    say("osslsigncode", "remove-signature", "-in", copy, "-out", tmp_path / "bare.efi")
    assert program_digest(io.BytesIO((tmp_path / "bare.efi").read_bytes())) == program_digest(
        io.BytesIO(programs[KERNEL].read_bytes())
    )
    esp = esp_partition()
    with build.workspace.disk.open("r+b") as disk:
        disk.seek(esp.offset)
        disk.write(bytes(esp.size))
    assert file_sha256(build.workspace.disk) == before


def test_nothing_that_is_written_or_said_holds_the_key(keys: KeyPair, tmp_path: Path) -> None:
    build = unsigned(tmp_path / "build", keys, "force")
    sink = Recorded()
    reporter = Reporter(sink)
    signed(replace(build, reporter=reporter, runner=Runner(reporter)))
    said = "\n".join(event.message for event in sink.events)
    assert "osslsigncode" in said
    raw = tmp_path / "key.der"
    say("openssl", "rsa", "-in", keys.key, "-outform", "DER", "-out", raw)
    lines = [line for line in keys.key.read_text().splitlines() if "-----" not in line]
    canaries = [line.encode() for line in lines if len(line) > 20] + [raw.read_bytes()[400:432]]
    assert not any(canary.decode("latin-1") in said for canary in canaries)
    for file in build.workspace.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(canary in content for canary in canaries), file


@pytest.mark.parametrize("enroll", ["none", "force"])
def test_the_disk_is_planned_with_room_for_the_largest_signatures(tmp_path: Path, enroll: str) -> None:
    large = make_keys(tmp_path, "-addext", f"nsComment={'x' * 8000}", kind="rsa:4096")
    build = unsigned(tmp_path / "build", large, enroll)
    wanted = SecureBoot(certificate=large.pem, enroll=Enrolment(enroll))
    planned = prepared_files(files_of(build.workspace), wanted)
    signed(build)
    for file in planned:
        assert taken_out(build, "/".join(file.parts)).stat().st_size <= file.size()
    assert size_needed(planned) <= esp_partition().size


def test_a_spec_without_secure_boot_is_planned_as_ever(keys: KeyPair, tmp_path: Path) -> None:
    files = files_of(unsigned(tmp_path / "build", keys).workspace)
    assert prepared_files(files, None) == files


def test_without_the_right_key_nothing_is_signed(keys: KeyPair, tmp_path: Path) -> None:
    build = unsigned(tmp_path / "build", keys)
    before = file_sha256(build.workspace.disk)
    other = make_keys(tmp_path)
    for key, code in ((None, "SIGN_KEY_MISSING"), (other.key, "SIGN_KEY_MISMATCH")):
        with pytest.raises(SigningError) as caught:
            sign_disk(replace(build, settings=replace(build.settings, secure_boot_key=key)), ASSEMBLED)
        assert caught.value.code == code
    assert file_sha256(build.workspace.disk) == before


def test_signatures_say_the_time_of_the_image_unless_the_certificate_is_younger(keys: KeyPair) -> None:
    certificate = keys.read
    late = int(certificate.not_before.timestamp()) + 86400
    assert signing_time(certificate, EPOCH) == certificate.not_before
    assert signing_time(certificate, late) == datetime.fromtimestamp(late, UTC)


def test_a_signature_that_a_distribution_has_made_gives_way_to_ours(keys: KeyPair, tmp_path: Path) -> None:
    build, vendor = unsigned(tmp_path / "build", keys), make_keys(tmp_path)
    loader = build.workspace.boot / "loader"
    say("sbsign", "--key", vendor.key, "--cert", vendor.certificate, "--output", loader, loader)
    signed(build)
    with taken_out(build, LOADERS[0]).open("rb") as program:
        assert [found.signer for found in read_signatures(program)] == [keys.read]
