"""The partition table, as sfdisk reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from image_composer.disk.gpt_types import ROOT_TYPES, ROOT_VERITY_TYPES, SHARED_TYPES
from image_composer.errors import InspectError
from image_composer.inspect.magic import SNIFFED_SIZE, filesystem
from image_composer.inspect.model import PartitionFound
from image_composer.inspect.raw import RawImage, corrupted, not_an_image, open_raw
from image_composer.run import Runner
from image_composer.spec.disk import PartitionType
from image_composer.spec.image import Architecture

_PROTECTIVE = "ee"
"""MBR type of the entry that guards a GPT from programs that know none."""

_ROLES: Mapping[str, PartitionType] = {
    **{str(guid): PartitionType.ROOT for guid in ROOT_TYPES.values()},
    **{str(guid): PartitionType.ROOT_VERITY for guid in ROOT_VERITY_TYPES.values()},
    **{str(guid): role for role, guid in SHARED_TYPES.items()},
}


class _Entry(BaseModel):
    node: str
    start: int
    size: int
    type: str
    uuid: str | None = None
    name: str = ""


class _Table(BaseModel):
    """The part of `sfdisk --json` that is used."""

    label: str
    id: str
    device: str
    sectorsize: int = 512
    partitions: list[_Entry] = Field(default_factory=list)


def read_table(image: RawImage) -> tuple[str, str, list[PartitionFound]]:
    """Give the kind and id of the partition table, and the partitions in the order of their numbers.

    Raises:
        InspectError: INSPECT_NOT_AN_IMAGE or INSPECT_CORRUPTED.
    """
    done = image.run(["sfdisk", "--json", image.name])
    if done.returncode != 0:
        raise not_an_image(image.path, "it has no partition table")
    table = _parse(done.stdout, image)
    if any(entry.type == _PROTECTIVE for entry in table.partitions):
        raise corrupted(
            image.path, "its GUID partition table is broken, or it is cut off before the table's copy at its end"
        )
    partitions = [_partition(entry, table, image) for entry in table.partitions]
    return table.label, table.id.lower(), sorted(partitions, key=lambda partition: partition.number)


def architecture_of(path: Path, runner: Runner) -> Architecture:
    """Give the architecture that a disk's root is for; x86_64 where its table doesn't say, or it has none.

    Raises:
        InspectError: INSPECT_UNREADABLE.
        ToolError: TOOL_MISSING.
    """
    with open_raw(path, runner) as image:
        try:
            _, _, partitions = read_table(image)
        except InspectError:
            return Architecture.X86_64
    types = {partition.type for partition in partitions}
    found = (architecture for architecture, guid in ROOT_TYPES.items() if str(guid) in types)
    return next(found, Architecture.X86_64)


def _parse(output: bytes, image: RawImage) -> _Table:
    try:
        document: Any = json.loads(output)
        return _Table.model_validate(document["partitiontable"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise corrupted(image.path, "its partition table can't be understood") from error


def _partition(entry: _Entry, table: _Table, image: RawImage) -> PartitionFound:
    number = re.search(r"[0-9]+\Z", entry.node.removeprefix(table.device))
    start, size = entry.start * table.sectorsize, entry.size * table.sectorsize
    if number is None or start + size > image.size:
        raise corrupted(image.path, f"its partition {entry.name or entry.node} ends beyond its end, it is cut off")
    return PartitionFound(
        number=int(number[0]),
        label=entry.name,
        type=entry.type.lower(),
        role=_ROLES.get(entry.type.lower()),
        uuid=entry.uuid and entry.uuid.lower(),
        start=start,
        size=size,
        filesystem=filesystem(image.read(start, min(size, SNIFFED_SIZE))),
    )
