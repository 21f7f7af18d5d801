"""Files and folders of the document."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root
from image_composer.root.operations import Operation
from image_composer.spec.files import File, Folder

MODE, SECRET_MODE = "0644", "0600"


def folder_changes(folders: Sequence[Folder], root: Root) -> Changes:
    """Say what folders to make.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_OWNER.
    """
    found = []
    for folder in folders:
        uid, gid = root.owner(folder.path, folder.owner, folder.group)
        found.append(operations.folder(folder.path, mode=int(folder.mode, 8), uid=uid, gid=gid))
    return Changes(tuple(found))


def file_changes(files: Sequence[File], given: Mapping[int, bytes], root: Root) -> Changes:
    """Say what files to write.

    Args:
        files: of the document.
        given: by place in that list, the content of those that don't bring their own.
        root: what is there.

    Raises:
        AssemblyError: ASSEMBLE_NO_SUCH_OWNER.
    """
    return Changes(tuple(_file(file, given.get(number), root) for number, file in enumerate(files)))


def _file(file: File, given: bytes | None, root: Root) -> Operation:
    if file.link is not None:
        return operations.link(file.path, file.link)
    uid, gid = root.owner(file.path, file.owner, file.group)
    mode = file.mode or (SECRET_MODE if file.secret_ref is not None else MODE)
    return operations.write(file.path, content_of(file, given), mode=int(mode, 8), uid=uid, gid=gid)


def content_of(file: File, given: bytes | None) -> bytes:
    """Give the content of a file.

    Args:
        file: of the document.
        given: what it has from elsewhere.
    """
    if given is not None:
        return given
    if file.content_base64 is not None:
        return base64.b64decode("".join(file.content_base64.split()))
    return (file.content or "").encode()
