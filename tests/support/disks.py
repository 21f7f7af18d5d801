"""What tests of disks need: a tree of files, ids, and what the standard tools say about an image."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from image_composer.disk.ext4 import Ext4Parameters
from image_composer.disk.identity import Identity
from image_composer.settings import MIB

EPOCH = 1_700_000_000
IDENTITY = Identity("e" * 64)


def ext4_parameters(size: int, label: str = "root", **changes: Any) -> Ext4Parameters:
    """Give what an ext4 is made with."""
    return Ext4Parameters(
        size=size,
        uuid=IDENTITY.filesystem(label),
        hash_seed=IDENTITY.hash_seed(label),
        label=label,
        epoch=EPOCH,
        **changes,
    )


def say(*argv: str | Path) -> str:
    """Run a tool and give what it prints."""
    return subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True, timeout=60).stdout


def field(description: str, name: str) -> str:
    """Give a field of what dumpe2fs or debugfs print."""
    found = re.search(rf"^ *{re.escape(name)}:\s*(.*)$", description, re.MULTILINE)
    assert found is not None, name
    return found[1].strip()


def partition_table(disk: Path) -> dict[str, Any]:
    """Give the partition table as sfdisk reads it."""
    table: dict[str, Any] = json.loads(say("sfdisk", "--json", disk))["partitiontable"]
    return table


def make_tree(tree: Path, *, reverse: bool = False) -> Path:
    """Make a small tree with every kind of entry that needs no privilege.

    Args:
        tree: folder to make.
        reverse: whether the files are made in the opposite order, which folders on disk show.
    """
    names = [f"file{number:03d}" for number in range(120)]
    (tree / "etc" / "empty").mkdir(parents=True)
    for name in reversed(names) if reverse else names:
        (tree / "etc" / name).write_text(name * 100)
    (tree / "etc" / "hard").hardlink_to(tree / "etc" / "file000")
    (tree / "etc" / "soft").symlink_to("file001")
    (tree / "etc" / "long").symlink_to("x" * 200)
    with (tree / "holes").open("wb") as stream:
        stream.truncate(MIB)
        stream.seek(MIB // 2)
        stream.write(b"in between")
    (tree / "etc" / "file002").chmod(0o4755)
    settle_times(tree)
    return tree


def settle_times(tree: Path) -> None:
    """Set the times of everything to the epoch, as assembling does before a file system is made."""
    for folder, _, names in os.walk(tree, topdown=False):
        for path in [*(Path(folder, name) for name in names), Path(folder)]:
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
