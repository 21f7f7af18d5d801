"""What installed packages say about themselves: maintainer, homepage, summary, licence."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from image_composer.evidence.deb822 import paragraphs
from image_composer.evidence.dep5 import DeclaredLicense, declared_license

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*", re.ASCII)
"""A package's name; what else dpkg's status may hold must not become part of a path."""

_DOC = PurePosixPath("usr/share/doc")
_STATUS = PurePosixPath("var/lib/dpkg/status")

_LARGEST_COPYRIGHT = 8 * 1024 * 1024
"""Bytes; the largest copyright file in Debian (Chromium's) has about 2 MiB."""

_LARGEST_STATUS = 256 * 1024 * 1024
"""Bytes; that of a desktop with 5000 packages has about 6 MiB."""


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What one package says about itself."""

    maintainer: str | None = None
    """As the package's control file, or an rpm package's packager, writes it: `Name <address>`."""

    vendor: str | None = None
    """rpm: who distributes the package."""

    homepage: str | None = None
    summary: str | None = None
    """First line of its description, or an rpm package's summary."""

    license: DeclaredLicense = field(default_factory=DeclaredLicense)


def package_facts(control: Mapping[str, str], copyright_text: str | None) -> PackageFacts:
    """Give the facts of one package.

    Args:
        control: its control fields by lower-case name.
        copyright_text: its copyright file; None when it has none.
    """
    return PackageFacts(
        maintainer=control.get("maintainer") or None,
        homepage=control.get("homepage") or None,
        summary=control.get("description", "").split("\n", 1)[0].strip() or None,
        license=declared_license(copyright_text) if copyright_text is not None else DeclaredLicense(),
    )


def read_facts(root: Path) -> dict[str, PackageFacts]:
    """Give the facts of every package that dpkg knows in a root, by name.

    No symbolic link of the root is followed but one: a package's documentation folder may point to that of another.
    """
    base = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        status = _read(base, _STATUS, _LARGEST_STATUS) or ""
        return {
            control["package"]: package_facts(control, _copyright(base, control["package"]))
            for control in paragraphs(status)
            if _PACKAGE.fullmatch(control.get("package", ""))
        }
    finally:
        os.close(base)


def _copyright(base: int, package: str) -> str | None:
    text = _read(base, _DOC / package / "copyright", _LARGEST_COPYRIGHT)
    if text is not None:
        return text
    shared = _link_target(base, _DOC, package)
    return _read(base, _DOC / shared / "copyright", _LARGEST_COPYRIGHT) if shared else None


def _link_target(base: int, folder: PurePosixPath, name: str) -> str | None:
    """Give where a link points when that is a plain name in the same folder (Debian policy 12.5 allows no other)."""
    try:
        descriptor = _open_folder(base, folder)
    except OSError:
        return None
    try:
        target = os.readlink(name, dir_fd=descriptor).rstrip("/")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return target if _PACKAGE.fullmatch(target) else None


def _read(base: int, path: PurePosixPath, limit: int) -> str | None:
    """Read a regular file below a folder; None when it can't be had without following a link.

    The root was written by package scripts: a link in it could point to any file of the host.
    """
    try:
        folder = _open_folder(base, path.parent)
    except OSError:
        return None
    try:
        # O_NONBLOCK: a named pipe in the place of the file must not hold the build up.
        descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    finally:
        os.close(folder)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return None
        return stream.read(limit).decode("utf-8", "replace")


def _open_folder(base: int, path: PurePosixPath) -> int:
    """Open a folder step by step, so that no step can be a link."""
    descriptor = os.dup(base)
    for part in path.parts:
        try:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor
