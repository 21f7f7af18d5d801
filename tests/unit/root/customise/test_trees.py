"""Trees of files, as operations on the root."""

from __future__ import annotations

import pytest

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise import trees
from image_composer.root.customise.trees import tree_changes
from image_composer.root.trees import Entry, EntryKind
from image_composer.spec.files import Tree
from support.customised import root

ENTRIES = [
    Entry("a", EntryKind.FOLDER, 0o750),
    Entry("a/b", EntryKind.FILE, 0o640, b"x"),
    Entry("a/c", EntryKind.LINK, target="b"),
]


def tree(**fields: str) -> Tree:
    return Tree.model_validate({"name": "t", "path": "/srv", **fields})


def test_a_tree_comes_below_its_folder_with_its_owner() -> None:
    ids = {"uid": 1000, "gid": 900}
    [found] = tree_changes(tree(owner="alice", group="operators"), ENTRIES, root())
    assert found == [
        operations.folder_if_missing("/srv", mode=0o755, **ids),
        operations.folder_if_missing("/srv/a", mode=0o750, **ids),
        operations.write("/srv/a/b", b"x", mode=0o640, **ids),
        operations.link("/srv/a/c", "b"),
    ]


def test_a_tree_of_the_whole_image_leaves_the_root_itself_alone_and_has_the_mode_that_is_said() -> None:
    [found] = tree_changes(tree(path="/", mode="0600"), ENTRIES[1:2], root())
    assert found == [operations.write("/a/b", b"x", mode=0o600)]


def test_an_unknown_owner_is_refused() -> None:
    with pytest.raises(AssemblyError, match="/srv is to belong to the user bob, which the image doesn't have"):
        list(tree_changes(tree(owner="bob"), [], root()))


def test_a_large_tree_is_handed_over_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_AT_ONCE", 2)
    assert [len(part) for part in tree_changes(tree(), ENTRIES, root())] == [2, 2, 0]
