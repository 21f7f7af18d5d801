"""Trees of files of the document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from image_composer.root import operations
from image_composer.root.customise.changes import Root
from image_composer.root.operations import Operation
from image_composer.root.trees import Entry, EntryKind
from image_composer.settings import MIB
from image_composer.spec.files import Tree

LARGEST_BATCH = 8 * MIB
"""Bytes of files that are handed over at once."""

MOST_AT_ONCE = 1000


def tree_changes(tree: Tree, entries: Sequence[Entry], root: Root) -> Iterator[list[Operation]]:
    """Say what to make of a tree, in parts that are handed over one after another.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_OWNER.
    """
    uid, gid = root.owner(tree.path, tree.owner, tree.group)
    batch: list[Operation] = []
    if tree.path != "/":
        batch.append(operations.folder_if_missing(tree.path, mode=0o755, uid=uid, gid=gid))
    size = 0
    for entry in entries:
        batch.append(_operation(tree, entry, uid, gid))
        size += len(entry.content)
        if size > LARGEST_BATCH or len(batch) >= MOST_AT_ONCE:
            yield batch
            batch, size = [], 0
    yield batch


def place(tree: Tree, entry: Entry) -> str:
    """Give where an entry lies in the image."""
    return f"{tree.path.rstrip('/')}/{entry.path}"


def _operation(tree: Tree, entry: Entry, uid: int, gid: int) -> Operation:
    path = place(tree, entry)
    if entry.kind is EntryKind.LINK:
        return operations.link(path, entry.target)
    if entry.kind is EntryKind.FOLDER:
        return operations.folder_if_missing(path, mode=entry.mode, uid=uid, gid=gid)
    mode = int(tree.mode, 8) if tree.mode is not None else entry.mode
    return operations.write(path, entry.content, mode=mode, uid=uid, gid=gid)
