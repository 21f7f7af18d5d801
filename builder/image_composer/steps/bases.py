"""Documents that a document builds on, where a laptop has them: files beside it, ConfigMaps in the inputs folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_composer.spec.layers.compose import Address, UnavailableError
from image_composer.spec.parse import MAX_BYTES, parse

CLUSTER_ONLY = "which only a cluster knows: save it ('kubectl get imagebuild -o yaml') and extend the file"


@dataclass(frozen=True, slots=True)
class Bases:
    """What documents can build on here."""

    folder: Path
    """Folder of the document that is read. Nothing outside is."""

    inputs: Path | None
    """Folder with the keys of ConfigMaps, see steps/inputs.py."""

    def load(self, address: Address) -> Mapping[str, Any]:
        """Read a document.

        Raises:
            UnavailableError: it can't be had.
            SpecError: it can't be parsed.
        """
        if address.kind == "ImageBuild":
            raise UnavailableError(CLUSTER_ONLY)
        try:
            content = read_below(self.folder, address.name) if address.kind == "file" else self._config_map(address)
        except OSError as error:
            raise UnavailableError(_reason(error)) from error
        return parse(content, str(address))

    def _config_map(self, address: Address) -> bytes:
        """Read a key. Kubernetes mounts keys as links, and who gives the folder vouches for it."""
        if self.inputs is None:
            raise UnavailableError("but no folder of inputs is given (IMAGE_COMPOSER_INPUTS)")
        place = self.inputs / "configmaps" / address.name / address.key
        if not place.is_file():
            raise UnavailableError(f"but there is no {place}")
        with place.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)


def read_below(folder: Path, path: str) -> bytes:
    """Read a file below a folder, no further than what is too large for a document, and through no link.

    Raises:
        OSError: it isn't there, is no regular file, or a part of its path is a link.
    """
    *parents, name = path.split("/")
    if {"", ".", ".."} & {*parents, name}:
        raise OSError(errno.EINVAL, "leads out of the folder", path)
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(parent, flags, dir_fd=here)
            os.close(here)
            here = below
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    with os.fdopen(found, "rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "which is not there"
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "but that is a link, or leads through one; only files and folders are followed"
    return f"which can't be read: {error.strerror}"
