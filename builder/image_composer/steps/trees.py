"""The trees of a document: brought before the work, read where they are written, refused with the entry's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from image_composer.errors import Problem, SpecError
from image_composer.root.customise.trees import place
from image_composer.root.trees import Entry, TreeError, pack, read_archive, read_folder, read_keys
from image_composer.settings import MIB
from image_composer.spec.files import Tree
from image_composer.spec.image import ImageSpec
from image_composer.spec.rules_system import esp_mount_points, folders_above, place_problems
from image_composer.steps.build import Build
from image_composer.workspace import NormalisedSpec

CONFIG_MAPS = "configmaps"
"""Folder of the inputs folder; below, a folder for each object with a file for each key."""

LARGEST_CONFIG_MAP = 2 * MIB
"""Bytes of all keys of a ConfigMap; Kubernetes itself allows one."""


def copy_folders(build: Build, spec: NormalisedSpec) -> None:
    """Copy the document's folders into the workspace: later stages may run where they are not.

    Raises:
        SpecError: SPEC_TREE.
    """
    for number, tree in enumerate(spec.image.trees):
        if tree.folder is not None:
            entries = _told(spec, number, partial(local_entries, build, tree.folder))
            archive = build.workspace.input(f"trees[{number}]")
            archive.parent.mkdir(exist_ok=True)
            archive.write_bytes(pack(entries))


def check_trees(build: Build) -> None:
    """See that nothing is wrong with what is there of trees, before the packages are unpacked.

    Raises:
        SpecError: SPEC_TREE.
    """
    for number, tree in enumerate(build.spec.image.trees):
        if tree.config_map_ref is None:  # that is shown to `assemble` only
            _entries(build, number, tree, build.workspace.input(f"trees[{number}]").read_bytes())


def tree_entries(build: Build, given: Mapping[str, bytes]) -> list[list[Entry]]:
    """Give what the trees hold, in their order.

    Args:
        build: the build.
        given: content of downloads, by the path of their field; verified.

    Raises:
        SpecError: SPEC_TREE.
    """
    found = []
    for number, tree in enumerate(build.spec.image.trees):
        path = f"trees[{number}]"
        archive = given[path] if tree.url is not None else b""
        if tree.folder is not None:
            archive = build.workspace.input(path).read_bytes()
        found.append(_entries(build, number, tree, archive))
    return found


def local_trees(build: Build, spec: ImageSpec) -> Iterator[tuple[str, str]]:
    """Say what is wrong with the trees that this machine has: its folders, and what stands for ConfigMaps."""
    for number, tree in enumerate(spec.trees):
        try:
            if tree.folder is not None:
                local_entries(build, tree.folder)
            if tree.config_map_ref is not None:
                config_map_entries(build, tree.config_map_ref.name)
        except TreeError as error:
            yield f"trees[{number}]", str(error)


def local_entries(build: Build, folder: str) -> list[Entry]:
    """Give what a folder beside the document holds.

    Raises:
        TreeError: it can't be had, or holds what no tree may.
    """
    if build.document_folder is None:
        raise TreeError(f"names the folder {folder}, but there is none beside the document")
    found = build.document_folder / folder
    if not found.is_dir():
        raise TreeError(f"names the folder {folder}, but there is no {found}")
    if found.resolve() != build.document_folder.resolve() / folder:
        raise TreeError(f"names the folder {folder}, but that is a link, or lies below one")
    return read_folder(found)


def config_map_entries(build: Build, name: str) -> list[Entry]:
    """Give the keys of a ConfigMap as files; Kubernetes mounts them beside folders whose names begin with `..`.

    Raises:
        TreeError: it can't be had.
    """
    if build.settings.inputs is None:
        raise TreeError(f"names the ConfigMap {name}, but no folder of inputs is given (IMAGE_COMPOSER_INPUTS)")
    folder = build.settings.inputs / CONFIG_MAPS / name
    if not folder.is_dir():
        raise TreeError(f"names the ConfigMap {name}, but there is no {folder}")
    files = [one for one in sorted(folder.iterdir()) if not one.name.startswith("..")]
    if sum(one.stat().st_size for one in files) > LARGEST_CONFIG_MAP:
        raise TreeError(f"names the ConfigMap {name}, which has more than {LARGEST_CONFIG_MAP // MIB} MiB")
    return read_keys(files)


def _entries(build: Build, number: int, tree: Tree, archive: bytes) -> list[Entry]:
    """Give what a tree holds, none of which comes to where nothing of a document may."""
    if tree.config_map_ref is not None:
        entries = _told(build.spec, number, partial(config_map_entries, build, tree.config_map_ref.name))
    else:
        entries = _told(build.spec, number, partial(read_archive, archive))
    points = esp_mount_points(build.spec.image, build.manifest)
    for entry in entries:
        path = place(tree, entry)
        problem = next((said for _, said in place_problems("", path)), None)
        if points & {path, *folders_above(path)}:
            problem = "lies on the EFI system partition, which the composer alone writes to"
        if problem is not None:
            raise _refused(build.spec, number, f"holds {entry.path}, which {problem}")
    return entries


def _told(spec: NormalisedSpec, number: int, read: Callable[[], list[Entry]]) -> list[Entry]:
    try:
        return read()
    except TreeError as error:
        raise _refused(spec, number, str(error)) from None


def _refused(spec: NormalisedSpec, number: int, said: str) -> SpecError:
    return SpecError([Problem(spec.field(f"trees[{number}]"), said, "SPEC_TREE")])
