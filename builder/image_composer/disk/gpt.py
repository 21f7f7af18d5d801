"""Writes the partition table, with sfdisk on a plain file."""

from __future__ import annotations

from pathlib import Path

from image_composer.disk.layout import ALIGNMENT, BACKUP_TABLE, SECTOR, DiskLayout, PlannedPartition
from image_composer.disk.sparse import create_sparse
from image_composer.disk.tools import ToolRunner


def write_table(layout: DiskLayout, disk: Path, *, tools: ToolRunner) -> None:
    """Make a disk image that is empty but for its partition table.

    Args:
        layout: the disk.
        disk: file to make, replaced if there.
        tools: runs the programs.

    Raises:
        DiskError: DISK_WRITE_FAILED.
        ToolError: sfdisk is missing or failed.
    """
    create_sparse(disk, layout.size)
    command: list[str | Path] = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "never", disk]
    tools.run(command, stdin=sfdisk_script(layout).encode())


def sfdisk_script(layout: DiskLayout) -> str:
    """Give the partition table as sfdisk reads it."""
    header = [
        "label: gpt",
        f"label-id: {layout.uuid}",
        "unit: sectors",
        f"sector-size: {SECTOR}",
        f"first-lba: {ALIGNMENT // SECTOR}",
        f"last-lba: {(layout.size - BACKUP_TABLE) // SECTOR - 1}",
    ]
    return "\n".join([*header, "", *map(_line, layout.partitions)]) + "\n"


def _line(planned: PlannedPartition) -> str:
    fields = [
        f"start={planned.offset // SECTOR}",
        f"size={planned.size // SECTOR}",
        f"type={planned.type_guid}",
        f"uuid={planned.uuid}",
        f'name="{planned.name}"',
    ]
    if planned.attributes:
        fields.append(f'attrs="GUID:{",".join(map(str, planned.attributes))}"')
    return ", ".join(fields)
