"""Whether firmware finds something to start, and that finds the root it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from image_composer.inspect.model import UkiFound
from image_composer.spec.disk import PartitionType
from image_composer.spec.image import Architecture
from image_composer.spec.trusted import Mutability
from image_composer.verify.checks import Check, judged, skipped
from image_composer.verify.subject import Subject
from image_composer.verify.verity import VerityFaultError, root_hash

REMOVABLE_LOADER: Mapping[Architecture, str] = {
    Architecture.X86_64: "/EFI/BOOT/BOOTX64.EFI",
    Architecture.AARCH64: "/EFI/BOOT/BOOTAA64.EFI",
}
"""What firmware looks for on a disk that it knows nothing of (UEFI specification, 3.5.1.1)."""


def check_boot_files(subject: Subject) -> Check:
    """Look for what firmware starts, and for what that starts."""
    if subject.partition(PartitionType.ESP) is None:
        return skipped("boot-files", "there is no EFI system partition")
    loader = REMOVABLE_LOADER[subject.spec.target.architecture]
    there = {path.upper() for path in subject.boot_files}
    problems = [] if loader.upper() in there else [f"there is no {loader}, by which firmware finds a boot loader"]
    if not subject.ukis and not _other_loader(subject):
        problems.append("there is no kernel that the boot loader could start")
    kernels = f"{len(subject.ukis)} unified kernel image(s)" if subject.ukis else "a boot loader's list of kernels"
    return judged("boot-files", problems, f"{loader} is there, and {kernels}")


def check_signatures(subject: Subject) -> Check:
    """See that every EFI program is signed where Secure Boot is asked for, and that signatures hold."""
    signed = [program for program, _ in subject.programs if program.signatures]
    if subject.spec.secure_boot is None and not signed:
        return skipped("signatures", "Secure Boot was not asked for")
    problems = [
        f"a signature of {program.path} does not hold"
        for program in signed
        if not all(signature.holds for signature in program.signatures)
    ]
    if subject.spec.secure_boot is not None:
        unsigned = [program.path for program, _ in subject.programs if not program.signatures]
        problems += [f"{path} is not signed" for path in unsigned]
    return judged("signatures", problems, f"all signatures hold, of {len(signed)} EFI program(s)")


def check_command_lines(subject: Subject) -> Check:
    """Hold every command line against the partitions."""
    if not subject.ukis:
        return skipped("command-line", "there is no unified kernel image")
    problems = [problem for uki in subject.ukis for problem in _command_line_problems(subject, uki)]
    return judged("command-line", problems, "every command line names the root that is on the disk")


def check_verity(subject: Subject) -> Check:
    """Count all hashes of an immutable root anew, and hold them against the ids and the command lines."""
    data, hashes = subject.partition(PartitionType.ROOT), subject.partition(PartitionType.ROOT_VERITY)
    if hashes is None and subject.spec.mutability is Mutability.MUTABLE:
        return skipped("verity", "the root is not immutable")
    if data is None or hashes is None:
        return judged("verity", ["there is no partition with the root's hashes"], "")
    try:
        counted = root_hash(
            lambda offset, size: subject.read(data, offset, size),
            lambda offset, size: subject.read(hashes, offset, size),
            jobs=subject.jobs,
        )
    except VerityFaultError as fault:
        return judged("verity", [str(fault)], "")
    problems = []
    if "".join((found.uuid or "").replace("-", "") for found in (data, hashes)) != counted:
        problems.append(f"the ids of the partitions are not the halves of the root hash {counted}")
    for uki in subject.ukis:
        said = _arguments(uki).get("roothash")
        if said != counted:
            problems.append(f"{uki.path} says roothash={said}, but the root's is {counted}")
    return judged("verity", problems, f"every block fits the root hash {counted}")


def _command_line_problems(subject: Subject, uki: UkiFound) -> Iterator[str]:
    arguments = _arguments(uki)
    root = subject.partition(PartitionType.ROOT)
    wanted = arguments.get("root", "")
    known = {f"PARTUUID={partition.uuid}" for partition in subject.partitions}
    named = [wanted, arguments.get("systemd.verity_root_data", ""), arguments.get("systemd.verity_root_hash", "")]
    if not wanted:
        yield f"{uki.path} names no root"
    for name in named:
        if name.startswith("PARTUUID=") and name.lower().replace("partuuid", "PARTUUID") not in known:
            yield f"{uki.path} names {name}, which is not on the disk"
    if root is not None and wanted.startswith("PARTUUID=") and wanted != f"PARTUUID={root.uuid}":
        yield f"{uki.path} starts from {wanted}, which is not the root"


def _arguments(uki: UkiFound) -> dict[str, str]:
    """Give the arguments of a command line that have a value."""
    words = re.findall(r"\S+", uki.command_line or "")
    return {name: value for name, assigned, value in (word.partition("=") for word in words) if assigned}


def _other_loader(subject: Subject) -> bool:
    """Say whether a boot loader is there that finds its kernels elsewhere, as GRUB does."""
    return any(path.lower().endswith("/grub.cfg") for path in (*subject.boot_files, *subject.tree))
