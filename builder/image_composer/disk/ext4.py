"""Makes an ext4 from a folder: nothing is mounted, and equal folders give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from image_composer.disk.ext4_size import BLOCK, INODE_SIZE, TreeUsage, inode_count, journal_size
from image_composer.disk.layout import exact_size
from image_composer.disk.rounding import round_up
from image_composer.disk.tools import ToolRunner
from image_composer.errors import DiskError, DiskTooSmallError, ToolError
from image_composer.settings import MIB

FEATURES = (
    "none",
    "has_journal",
    "ext_attr",
    "resize_inode",  # room for descriptors, so that it grows while mounted
    "dir_index",
    "filetype",
    "extent",
    "64bit",
    "flex_bg",
    "sparse_super",
    "large_file",
    "huge_file",
    "dir_nlink",
    "extra_isize",
    "metadata_csum",
    "metadata_csum_seed",  # the UUID can be changed while mounted, as first-boot tools do
)
"""All features, beginning from none, so that neither the version nor the configuration of mke2fs decides. Without
orphan_file, which kernels before 5.15 can't mount."""

DEFAULT_ROOT_MODE = 0o755
LABEL = "security.selinux"
"""Extended attribute that holds SELinux's label."""

_ROOT_INODE = 2
_OUT_OF_ROOM = re.compile(
    r"Could not allocate (block|inode)|No free space|too big for (a\s+)?filesystem|too small for a"
)


@dataclass(frozen=True, slots=True)
class Ext4Parameters:
    """What an ext4 is made with beside its content."""

    size: int
    """Bytes; a multiple of the block size."""

    uuid: UUID
    hash_seed: UUID
    label: str
    epoch: int
    """Seconds since 1970: when everything in it was created, last changed and last read."""

    root_mode: int = DEFAULT_ROOT_MODE
    """Permissions of its top folder, which mke2fs doesn't take from the tree."""

    root_owner: tuple[int, int] = (0, 0)
    """User and group of its top folder, as seen inside the image."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """SELinux's label by path in the file system; files that aren't named have none."""


def make_ext4(tree: Path, image: Path, parameters: Ext4Parameters, usage: TreeUsage, *, tools: ToolRunner) -> None:
    """Make an ext4 that holds a tree.

    Owners are those that the programs see: with `tools` in a user namespace, the ids inside it. Times of
    modification are the tree's.

    Args:
        tree: folder whose content it gets.
        image: file to make, replaced if there; the programs must be able to write to its folder.
        parameters: size, ids, label and time.
        usage: the tree's, from `measure_tree`.
        tools: runs the programs.

    Raises:
        DiskTooSmallError: DISK_TOO_SMALL, the tree doesn't fit.
        DiskError: DISK_EXT4_FAILED.
        ToolError: a program is missing or failed.
    """
    image.unlink(missing_ok=True)
    environment = _environment(parameters.epoch)
    try:
        tools.run(mke2fs_command(tree, image, parameters, usage), env=environment)
    except ToolError as error:
        if _OUT_OF_ROOM.search(error.message):
            raise _too_small(parameters, usage) from error
        raise
    used = used_inodes(tools.run(["dumpe2fs", image], env=environment).stdout.decode("utf-8", "replace"))
    done = tools.run(
        ["debugfs", "-w", "-f", "-", image],
        stdin=settling_commands(parameters, used).encode(),
        env=environment,
        shown_as=f"debugfs -w -f - {image}  # settle the times of {len(used)} inodes",
    )
    # debugfs ends with 0 whatever happened; what it says beside its version is a complaint.
    said = done.stderr.decode("utf-8", "replace").splitlines()
    complaints = [line for line in said if line.strip() and not re.match(r"debugfs [0-9]", line)]
    if complaints:
        raise DiskError("DISK_EXT4_FAILED", f"debugfs could not finish {image}: {complaints[0]}")


def mke2fs_command(tree: Path, image: Path, parameters: Ext4Parameters, usage: TreeUsage) -> list[str | Path]:
    """Give the command that makes the file system."""
    user, group = parameters.root_owner
    # All in one -E: mke2fs forgets all but the last. A file made anew is zero already, and saying so leaves holes
    # where the inode tables and the journal are.
    extended = f"hash_seed={parameters.hash_seed},root_owner={user}:{group},nodiscard,assume_storage_prezeroed=1"
    return [
        *("mke2fs", "-q", "-t", "ext4", "-d", tree),
        *("-U", str(parameters.uuid), "-L", parameters.label),
        *("-b", str(BLOCK), "-I", str(INODE_SIZE), "-m", "0"),
        *("-N", str(inode_count(parameters.size, usage.inodes))),
        *("-J", f"size={journal_size(parameters.size) // MIB}"),
        *("-E", extended, "-O", ",".join(FEATURES)),
        *(image, f"{parameters.size // 1024}k"),
    ]


def used_inodes(description: str) -> list[int]:
    """Read the numbers of all inodes that hold content from what dumpe2fs prints, the top folder's among them."""
    total = re.search(r"^Inode count:\s+(\d+)$", description, re.MULTILINE)
    first = re.search(r"^First inode:\s+(\d+)$", description, re.MULTILINE)
    if total is None or first is None:
        raise DiskError("DISK_EXT4_FAILED", "dumpe2fs does not name the inodes of a new file system")
    free = [
        (int(begin), int(end or begin))
        for ranges in re.findall(r"^  Free inodes: (.*)$", description, re.MULTILINE)
        for begin, end in re.findall(r"(\d+)(?:-(\d+))?", ranges)
    ]
    used = [_ROOT_INODE]
    next_used = int(first[1])
    for begin, end in sorted(free):
        used.extend(range(next_used, begin))
        next_used = max(next_used, end + 1)
    used.extend(range(next_used, int(total[1]) + 1))
    return used


def settling_commands(parameters: Ext4Parameters, inodes: list[int]) -> str:
    """Give what debugfs shall do after mke2fs.

    mke2fs before 1.47.1 copies the time of last change, which no program can set on a file: it is when we unpacked.
    The time of last access changes whenever somebody, such as ourselves, looks into a folder.
    """
    # The end of the text is part of what the kernel itself writes.
    lines = [f'ea_set {_quoted(path)} {LABEL} "{label}\\000"' for path, label in parameters.labels.items()]
    lines += [
        f"set_inode_field <{number}> {time} @{parameters.epoch}" for number in inodes for time in ("ctime", "atime")
    ]
    if parameters.root_mode != DEFAULT_ROOT_MODE:
        lines.append(f"set_inode_field <{_ROOT_INODE}> mode 0{0o40000 | parameters.root_mode:o}")
    return "\n".join(lines) + "\n"


def _quoted(path: str) -> str:
    """Give a path as debugfs reads it.

    Raises:
        DiskError: DISK_EXT4_FAILED, it can't be said there.
    """
    if "\n" in path:
        raise DiskError("DISK_EXT4_FAILED", f"{path!r} can't be labelled: its name has a line break")
    return '"' + path.replace('"', '""') + '"'


def _environment(epoch: int) -> dict[str, str]:
    return {
        "E2FSPROGS_FAKE_TIME": str(epoch),  # all versions
        "SOURCE_DATE_EPOCH": str(epoch),  # from 1.47.1
        "MKE2FS_CONFIG": "/nonexistent",  # the host's mke2fs.conf must not decide about our images
    }


def _too_small(parameters: Ext4Parameters, usage: TreeUsage) -> DiskTooSmallError:
    content = exact_size(round_up(usage.blocks * BLOCK, MIB))
    return DiskTooSmallError(
        "DISK_TOO_SMALL",
        f"the partition {parameters.label} has {exact_size(parameters.size)}, too little for its content: "
        f"{content} in {usage.inodes} files and folders",
        hint="give the partition a larger size",
    )
