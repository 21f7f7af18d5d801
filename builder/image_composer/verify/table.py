"""Whether the partition table of a disk is in order."""

from __future__ import annotations

from image_composer.verify.checks import Check, judged
from image_composer.verify.gpt import table_problems
from image_composer.verify.subject import Subject


def check_table(subject: Subject) -> Check:
    """Read both copies of the table, and hold them against each other and the disk."""
    problems = table_problems(subject.image.read, subject.image.size)
    return judged("partition-table", problems, "both copies of the table are in order, no partition overlaps")
