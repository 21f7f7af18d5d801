"""Rules about images that are updated as a whole; see rules.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from image_composer.spec.base import format_size, parse_share, parse_size
from image_composer.spec.disk import PartitionType
from image_composer.spec.features import Feature
from image_composer.spec.image import ImageSpec
from image_composer.spec.outputs import PARTS, Compression
from image_composer.spec.trusted import UpdateTrust

if TYPE_CHECKING:
    from image_composer.manifest import Manifest

PUBLIC_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

COMPARABLE_VERSION = re.compile(r"[0-9A-Za-z.-]+")
"""Versions that stand in file names of updates: an underscore ends one there, a plus sign begins a count."""

ESP_PLACES = ("/efi", "/boot", "/boot/efi")
"""Where systemd looks for the EFI system partition."""

LONGEST_NAME = 36
"""Characters of a name in the partition table."""


def update_can_be_trusted(spec: ImageSpec) -> Iterator[tuple[str, str]]:
    """What a machine is updated with must be what it trusts, and its version what systemd-sysupdate can read."""
    update, path = spec.immutable.update, "immutable.update"
    if update is None:
        return
    if update.verify is UpdateTrust.SIGNATURE and update.key is None:
        yield f"{path}.key", "is missing: SHA256SUMS must be signed, unless verify is 'none'"
    if update.verify is UpdateTrust.NONE and update.key is not None:
        yield f"{path}.key", "is without use: verify is 'none'"
    if update.verify is UpdateTrust.NONE and update.url.startswith("http:"):
        yield f"{path}.url", "must be https: verify is 'none', so whoever serves it is believed"
    if update.key is not None and PUBLIC_KEY not in update.key:
        yield f"{path}.key", "must be an ASCII-armoured OpenPGP public key"
    if not COMPARABLE_VERSION.fullmatch(spec.version):
        yield "version", "must be letters, digits, dots and dashes only, which updates can read out of file names"
    for number, output in enumerate(spec.outputs):
        if output.format in PARTS and output.compression is Compression.ZSTD:
            yield f"outputs[{number}].compression", "can't be 'zstd': systemd-sysupdate unpacks xz and gzip only"


def sizes_fit(spec: ImageSpec) -> Iterator[tuple[str, str]]:
    """What has a size must fit, whatever the rest needs."""
    slots = 2 if spec.immutable.update is not None else 1
    partitions = [partition for partition in spec.disk.partitions if partition.size is not None]
    if spec.disk.size is None or not partitions:
        return
    whole = parse_size(spec.disk.size)
    needed = sum(
        _bytes(partition.size or "", whole) * (slots if partition.type is PartitionType.ROOT else 1)
        for partition in partitions
    )
    if needed > whole:
        both = ", with both slots of the root," if slots > 1 else ""
        yield "disk.size", f"is too small: partitions that have a size{both} take {format_size(needed)}"


def _bytes(size: str, whole: int) -> int:
    share = parse_share(size)
    return parse_size(size) if share is None else whole * share // 100


def second_slot(spec: ImageSpec, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """A second slot is of use only where systemd-sysupdate can fill it."""
    if spec.immutable.update is None:
        return
    if not manifest.feature_packages.get(Feature.UPDATE):
        yield "immutable.update", f"{manifest.title} is not known to have systemd-sysupdate, which would fill the slot"
    partitions = spec.disk.partitions or manifest.partitions
    for partition in partitions:
        if partition.type is PartitionType.ESP and partition.mount_point not in ESP_PLACES:
            yield "immutable.update", f"needs the EFI system partition at one of {', '.join(ESP_PLACES)}"
        room = LONGEST_NAME - len(f"{partition.label}-verity_")
        if partition.type is PartitionType.ROOT and len(spec.version) > room:
            yield "version", f"has more than {room} characters, which is what partition {partition.label}'s name holds"
