"""Whether the disk and the files that are delivered have the sizes that were asked for."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.spec.base import format_size, parse_size
from image_composer.verify.checks import Check, judged
from image_composer.verify.subject import Subject


def check_sizes(subject: Subject) -> Check:
    """Hold them against the spec."""
    asked = subject.spec.disk.size
    problems = size_problems(
        subject.image.size,
        subject.files,
        disk=parse_size(asked) if asked else None,
        most_disk=_bytes(subject.spec.verify.max_disk_size),
        most_file=_bytes(subject.spec.verify.max_file_size),
    )
    return judged("size", problems, f"a disk of {format_size(subject.image.size)} in {len(subject.files)} file(s)")


def size_problems(
    size: int, files: Mapping[str, int], *, disk: int | None, most_disk: int | None, most_file: int | None
) -> list[str]:
    """Say what is too large, or not of the size that was asked for.

    Args:
        size: bytes of the disk.
        files: bytes of the delivered files by name.
        disk: bytes that the disk was to have.
        most_disk: bytes that it may have.
        most_file: bytes that a file may have.
    """
    problems = []
    if disk is not None and size != disk:
        problems.append(f"the disk has {size} bytes, not the {disk} of disk.size")
    if most_disk is not None and size > most_disk:
        limit = format_size(most_disk)
        problems.append(f"the disk has {format_size(size)}, more than the {limit} of verify.maxDiskSize")
    for name, bytes_ in files.items():
        if not bytes_:
            problems.append(f"{name} is empty")
        if most_file is not None and bytes_ > most_file:
            limit = format_size(most_file)
            problems.append(f"{name} has {format_size(bytes_)}, more than the {limit} of verify.maxFileSize")
    return problems


def _bytes(text: str | None) -> int | None:
    return parse_size(text) if text else None
