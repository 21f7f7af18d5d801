"""The pipeline as data, and the small decisions of its steps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import ComposerError
from image_composer.package.deb_header import build_times
from image_composer.provider import load_providers
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.run import Runner
from image_composer.settings import Settings
from image_composer.spec.image import Target
from image_composer.stages import STAGES, Stage, run_stage, run_stages
from image_composer.steps.boot_loader import esp_files, kernel_command_line
from image_composer.steps.build import Build
from image_composer.steps.publish import publish_results, read_checksums
from image_composer.workspace import NormalisedSpec, Workspace
from support.events import Recorded
from support.specs import image_spec

LOCK = Lock(target=Target(distribution="debian", release="12"), request_digest="0" * 64, repositories=[], packages=[])


def build(folder: Path, **fields: Any) -> Build:
    """Give a build whose document is validated and whose lock is empty."""
    workspace = Workspace(folder)
    workspace.write(workspace.spec, NormalisedSpec(path="", image=image_spec(**fields)))
    workspace.write(workspace.lock, LOCK)
    return Build(
        workspace=workspace,
        settings=Settings(cache_dir=folder / "cache"),
        reporter=Reporter(Recorded()),
        runner=Runner(),
        providers=load_providers(),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        host_os_release={},
        host_sources={},
    )


def test_every_stage_reads_what_an_earlier_one_wrote() -> None:
    written: set[str] = set()
    for stage in STAGES:
        assert set(stage.reads) <= written, stage.name
        assert not written & set(stage.writes), stage.name
        written |= set(stage.writes)
    assert len({stage.name for stage in STAGES}) == len(STAGES)


def test_a_stage_is_reported_whether_it_succeeds_or_not(tmp_path: Path) -> None:
    current = build(tmp_path)
    recorded = current.reporter.sink
    assert isinstance(recorded, Recorded)

    def fail(_: Build) -> None:
        raise ComposerError("X", "broken")

    run_stage(current, Stage("fine", "going well", (), (), lambda _: None))
    with pytest.raises(ComposerError):
        run_stage(current, Stage("broken", "going wrong", (), (), fail))
    kinds = [(event.kind, event.stage) for event in recorded.events]
    assert kinds == [
        ("stage-started", "fine"),
        ("stage-finished", "fine"),
        ("stage-started", "broken"),
        ("stage-failed", "broken"),
    ]
    assert [*current.reporter.timings] == ["fine"]


def test_stages_are_run_from_the_first_to_the_last_asked_for(tmp_path: Path) -> None:
    current = build(tmp_path)
    with pytest.raises(ComposerError, match=r"fetch\.json is missing"):
        run_stages(current, first="assemble", last="assemble")
    assert [*current.reporter.timings] == []


def test_ids_follow_from_the_spec_and_what_is_installed_alone(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    one, same = build(folders[0]), build(folders[1])
    other = build(folders[2], hostname="other")
    assert one.identity == same.identity
    assert one.identity != other.identity


def test_the_kernel_is_told_where_its_root_is_and_what_the_user_wants_last(tmp_path: Path) -> None:
    current = build(tmp_path, kernel={"commandLine": ["quiet", 'dyndbg="file a.c +p"']})
    words = kernel_command_line(current).split()
    assert words[0] == f"root=PARTUUID={current.identity.partition('root')}"
    assert words[1:-4] == current.target[2].command_line
    assert kernel_command_line(current).endswith('quiet dyndbg="file a.c +p"')


def test_the_partitions_are_the_user_s_or_the_distribution_s(tmp_path: Path) -> None:
    assert build(tmp_path).partitions == build(tmp_path).manifest.partitions
    own = [partition.model_dump(mode="json") for partition in build(tmp_path).manifest.partitions]
    own[1]["label"] = "mine"
    assert [partition.label for partition in build(tmp_path, disk={"partitions": own}).partitions] == ["ESP", "mine"]


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        ("x86_64", ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"]),
        ("aarch64", ["EFI/BOOT/BOOTAA64.EFI", "EFI/systemd/systemd-bootaa64.efi"]),
    ],
)
def test_firmware_finds_the_boot_loader_and_that_the_image(tmp_path: Path, architecture: str, names: list[str]) -> None:
    target = {"distribution": "debian", "release": "12", "architecture": architecture}
    files = esp_files(build(tmp_path, target=target))
    paths = [str(file.destination) for file in files]
    assert paths[:2] == names
    assert "EFI/Linux/edge-1.0.efi" in paths


@pytest.mark.parametrize(
    ("firmware", "files", "labels"),
    [
        ("uefi", ["EFI/BOOT/BOOTX64.EFI", "EFI/debian/grubx64.efi"], ["ESP", "root"]),
        ("both", ["EFI/BOOT/BOOTX64.EFI", "EFI/debian/grubx64.efi"], ["bios-boot", "ESP", "root"]),
        ("bios", [], ["bios-boot", "root"]),
    ],
)
def test_grub_lies_where_the_firmware_looks_for_it(
    tmp_path: Path, firmware: str, files: list[str], labels: list[str]
) -> None:
    current = build(tmp_path, bootLoader={"type": "grub", "firmware": firmware})
    assert [str(file.destination) for file in esp_files(current)] == files
    assert [partition.label for partition in current.partitions] == labels


def test_build_times_are_read_from_the_packages_themselves(tmp_path: Path) -> None:
    def package(name: str, time: bytes) -> Path:
        (tmp_path / name).write_bytes(b"!<arch>\n" + b"debian-binary   " + time.ljust(12) + b"0     0     100644  4")
        return tmp_path / name

    packages = [package("a", b"1700000000"), package("b", b"1600000000"), package("c", b""), package("d", b"x")]
    (tmp_path / "short").write_bytes(b"!<arch>\n")
    assert list(build_times([*packages, tmp_path / "short"])) == [1700000000, 1600000000]


def test_publishing_needs_a_place(tmp_path: Path) -> None:
    with pytest.raises(ComposerError) as caught:
        publish_results(build(tmp_path))
    assert caught.value.code == "PUBLISH_NO_DESTINATION"


def test_checksums_are_read_as_they_are_written() -> None:
    text = f"{'a' * 64} *edge 1.raw\n{'b' * 64} *edge *2.json\n"
    assert read_checksums(text) == {"edge 1.raw": "a" * 64, "edge *2.json": "b" * 64}
