"""The disk is one that other tools find in order, laid out as asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.spec.base import parse_size
from image_composer.spec.disk import Partition
from image_composer_providers.debian.provider import PROVIDER
from support.disks import partition_table, say
from support.image import ARGUMENT, Image

pytestmark = [pytest.mark.build, pytest.mark.network]


def wanted(image: Image) -> list[Partition]:
    return image.spec.disk.partitions or PROVIDER.manifest(image.spec.target.release).partitions


def test_sfdisk_finds_the_partition_table_in_order(image: Image) -> None:
    assert "No errors detected" in say("sfdisk", "--verify", image.raw)


def test_the_partitions_are_the_specs_or_the_distributions(image: Image) -> None:
    found = image.report.partitions
    assert [(partition.label, partition.role, partition.filesystem) for partition in found] == [
        (partition.label, partition.type, partition.filesystem) for partition in wanted(image)
    ]
    for partition, there in zip(wanted(image), found, strict=True):
        assert partition.size is None or there.size == parse_size(partition.size)


def test_the_ext4_file_systems_are_in_order(image: Image) -> None:
    for partition in image.report.partitions:
        if partition.filesystem == "ext4":
            say("e2fsck", "-f", "-n", f"{image.raw}?offset={partition.start}")
            about = say("dumpe2fs", "-h", f"{image.raw}?offset={partition.start}")
            assert f"Filesystem volume name:   {partition.label}\n" in about


def test_the_efi_system_partition_is_in_order(image: Image, tmp_path: Path) -> None:
    found = image.partition("ESP")
    esp = tmp_path / "esp.img"
    say(
        "dd",
        f"if={image.raw}",
        f"of={esp}",
        "bs=1M",
        "conv=sparse",
        f"skip={found.start >> 20}",
        f"count={found.size >> 20}",
    )
    assert "2 FATs, 32 bit entries" in say("fsck.vfat", "-n", "-v", esp)
    assert say("blkid", "-o", "value", "-s", "LABEL", esp).strip() == "ESP"


def test_firmware_finds_a_boot_loader_and_that_one_kernel(image: Image) -> None:
    assert "/EFI/BOOT/BOOTX64.EFI" in image.report.boot_files
    assert [uki.path for uki in image.report.ukis] == [f"/EFI/Linux/{image.spec.name}-1.2.3.efi"]


def test_the_kernel_gets_its_root_the_distributions_arguments_and_the_specs(image: Image) -> None:
    arguments = (image.report.ukis[0].command_line or "").split()
    assert arguments[0] == f"root=PARTUUID={image.partition('root').uuid}"
    assert arguments[-1] == ARGUMENT


def test_no_two_ids_of_the_disk_are_alike(image: Image) -> None:
    table = partition_table(image.raw)
    ids = [table["id"], *(partition["uuid"] for partition in table["partitions"])]
    assert len(set(ids)) == len(ids)
