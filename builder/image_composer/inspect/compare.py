"""`image-composer compare`: in what two images differ, in whatever form they are given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from image_composer.inspect.image import report_of
from image_composer.inspect.model import ImageReport, ProgramFound
from image_composer.inspect.opened import open_image
from image_composer.inspect.raw import RawImage
from image_composer.run import Runner
from image_composer.settings import MIB
from image_composer.spec.base import SpecModel, format_size

_CHUNK = 4 * MIB

Facts = Mapping[str, Mapping[str, str]]
"""What is said of an image, by section and subject."""


class Change(SpecModel):
    """Something that one image has and the other has not, or that is different in them."""

    section: str
    """`disk`, `partitions`, `system`, `boot`, `mounts` or `packages`."""

    subject: str
    """The partition's label, the package's name and architecture, the file's path..."""

    old: str | None = None
    """None: it is new."""

    new: str | None = None
    """None: it is gone."""


class ImageDiff(SpecModel):
    """The difference between two images; how they are packed makes none."""

    diff_version: int = 1
    old: str
    """File of the image."""

    new: str
    same: bool
    changes: list[Change]


def compare_images(old: Path, new: Path, runner: Runner) -> ImageDiff:
    """Say in what two images differ.

    Raises:
        InspectError: one of them is no image that can be read.
        ToolError: a program is missing.
    """
    changes = differences(_read(old, runner), _read(new, runner))
    return ImageDiff(old=str(old), new=str(new), same=not changes, changes=changes)


def differences(old: Facts, new: Facts) -> list[Change]:
    """Give the differences in the order of sections and subjects."""
    return [
        Change(section=section, subject=subject, old=before.get(subject), new=after.get(subject))
        for section in old
        for before, after in [(old[section], new[section])]
        for subject in sorted(before.keys() | after.keys())
        if before.get(subject) != after.get(subject)
    ]


def facts(report: ImageReport, contents: Mapping[int, str]) -> Facts:
    """Give what of an image is compared.

    Args:
        report: what it holds.
        contents: digest of each partition's bytes by its number.
    """
    partitions = {
        partition.label or f"number {partition.number}": (
            f"{partition.role or partition.type}, {partition.filesystem or 'no file system'}, "
            f"{format_size(partition.size)} at {format_size(partition.start)}, {partition.uuid}, "
            f"content {contents[partition.number][:12]}"
        )
        for partition in report.partitions
    }
    boot = dict.fromkeys(report.boot_files, "is there")
    boot |= {program.path: _signed(program) for program in report.programs}
    boot |= {f"command line of {uki.path}": uki.command_line or "" for uki in report.ukis}
    if report.grub is not None:
        boot[f"command line in {report.grub.path}"] = report.grub.command_line or ""
    return {
        "disk": {"size": format_size(report.size), "table": report.partition_table, "id": report.disk_id},
        "partitions": partitions,
        "system": {
            **report.os_release,
            **({"host name": report.hostname} if report.hostname else {}),
            **({"kernel": report.kernel_version} if report.kernel_version else {}),
        },
        "boot": boot,
        "mounts": {(line.split()[1:2] or [line])[0]: line for line in report.fstab},
        "packages": {f"{found.name} {found.architecture}": found.version for found in report.packages},
    }


def render_diff(diff: ImageDiff) -> str:
    """Give a difference as people read it, without a final line break; no image can steer the terminal."""
    if diff.same:
        return "no difference"
    lines, section = [], ""
    for change in diff.changes:
        if change.section != section:
            section = change.section
            lines.append(f"{section}:")
        if change.old is None:
            lines.append(f"  + {change.subject} {change.new}")
        elif change.new is None:
            lines.append(f"  - {change.subject} {change.old}")
        else:
            lines.append(f"  ~ {change.subject} {change.old} -> {change.new}")
    return "\n".join(
        "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line) for line in lines
    )


def _read(path: Path, runner: Runner) -> Facts:
    with open_image(path, runner) as image:
        report = report_of(path, image)
        contents = {found.number: _digest(image.disk, found.start, found.size) for found in report.partitions}
    return facts(report, contents)


def _digest(image: RawImage, start: int, size: int) -> str:
    digest = hashlib.sha256()
    for offset in range(start, start + size, _CHUNK):
        digest.update(image.read(offset, min(_CHUNK, start + size - offset)))
    return digest.hexdigest()


def _signed(program: ProgramFound) -> str:
    signers = [f"{each.fingerprint}{'' if each.holds else ' (does not hold)'}" for each in program.signatures]
    return f"signed by {', '.join(signers)}" if signers else "not signed"
