"""Whether the file systems on a disk are clean, by the words of those who know: their own checkers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from image_composer.disk.sparse import copy_part, create_sparse
from image_composer.disk.swap import PAGE, swap_pages
from image_composer.inspect.model import PartitionFound
from image_composer.run import Completed
from image_composer.verify.checks import Check, judged
from image_composer.verify.subject import Subject

SHOWN = 3
"""Lines of a checker's complaints that a message shows."""


def check_filesystems(subject: Subject) -> Check:
    """Run each file system's checker; nothing is written.

    Raises:
        ToolError: a checker is missing.
    """
    clean, problems = [], []
    for partition in subject.partitions:
        checker = CHECKERS.get(partition.filesystem or "")
        if checker is None:
            continue
        done = checker(subject, partition)
        if done.returncode == 0:
            clean.append(f"{partition.label} ({partition.filesystem})")
        else:
            problems.append(f"{partition.label}: {_complaints(done)}")
    return judged("file-systems", problems, f"{', '.join(clean)} are clean")


def _ext4(subject: Subject, partition: PartitionFound) -> Completed:
    return subject.image.run(["e2fsck", "-f", "-n", f"{subject.image.name}?offset={partition.start}"])


def _vfat(subject: Subject, partition: PartitionFound) -> Completed:
    with _copy(subject, partition) as part:
        return subject.image.run(["fsck.vfat", "-n", str(part)])


def _squashfs(subject: Subject, partition: PartitionFound) -> Completed:
    # Lists every folder: all metadata is read. Content is what dm-verity vouches for.
    return subject.image.run(["unsquashfs", "-q", "-lc", "-o", str(partition.start), subject.image.name])


def _erofs(subject: Subject, partition: PartitionFound) -> Completed:
    with _copy(subject, partition) as part:
        return subject.image.run(["fsck.erofs", "-d1", str(part)])


def _swap(subject: Subject, partition: PartitionFound) -> Completed:
    pages = swap_pages(subject.image.read(partition.start, PAGE))
    fits = pages is not None and pages * PAGE <= partition.size
    said = "" if fits else f"its header tells of {pages} pages of {PAGE} bytes, which the partition has no room for"
    return Completed(0 if fits else 1, said.encode(), b"")


CHECKERS: Mapping[str, Callable[[Subject, PartitionFound], Completed]] = {
    "ext4": _ext4,
    "vfat": _vfat,
    "swap": _swap,
    "squashfs": _squashfs,
    "erofs": _erofs,
}


@contextmanager
def _copy(subject: Subject, partition: PartitionFound) -> Iterator[Path]:
    """Give a partition as a file, for programs that know no offset."""
    part = subject.scratch / f"{partition.number}.part"
    try:
        create_sparse(part, partition.size)
        copy_part(subject.image.descriptor, partition.start, partition.size, part)
        yield part
    finally:
        part.unlink(missing_ok=True)


def _complaints(done: Completed) -> str:
    said = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").splitlines()
    lines = [line.strip() for line in said if line.strip() and not line.startswith(("Pass ", "e2fsck ", "fsck."))]
    return "; ".join(lines[:SHOWN]) or f"the checker ended with status {done.returncode}"
