"""Taking away what was needed to install a root, and is not to run one program in it: no shell, no package manager.

dpkg's own lists say what belongs to whom. What is taken away leaves dpkg's database too, so that scanners for
vulnerable packages see what is there.
"""

from __future__ import annotations

import base64
import glob
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from image_composer.repository.lock import LockedPackage
from image_composer.root import operations
from image_composer.root.install_order import closure
from image_composer.root.sandbox import Sandbox

ADMIN = "/var/lib/dpkg"
STATUS = f"{ADMIN}/status"
MERGED = re.compile(r"/(bin|sbin|lib|lib64)(/|$)")
"""Folders that are links into /usr, and below which packages of Debian 12 still bring files."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """What stays of a root."""

    packages: tuple[str, ...]
    """Packages that stay, with what they depend on."""

    needless: tuple[str, ...] = ()
    """Packages that go although one of those depends on them: for its scripts, which have run."""

    links: tuple[str, ...] = ()
    """Paths that stay, whoever brings them."""

    files: tuple[str, ...] = ()
    """Patterns of paths that go, whoever brings them."""


def shrink(box: Sandbox, packages: Sequence[LockedPackage], remainder: Remainder) -> None:
    """Take away all but the remainder from the sandbox's root; no program of it can be run afterwards."""
    names = kept_names(packages, remainder)
    found: Sequence[str] = box.act("match", patterns=[f"{ADMIN}/info/*.list"])["paths"][f"{ADMIN}/info/*.list"]
    contents: Mapping[str, str | None] = box.act("read", paths=[*found, STATUS])["contents"]
    texts = {path: base64.b64decode(content or "").decode() for path, content in contents.items()}
    lists = {owner(path): texts[path].splitlines() for path in found}
    gone = [*files_to_remove(lists, names, remainder.links), *remainder.files]
    gone += [f"{ADMIN}/info/{glob.escape(name)}{end}" for name in lists.keys() - names for end in (".*", ":*")]
    status = operations.write(STATUS, status_of(texts[STATUS], names))
    box.act("apply", operations=[*map(operations.remove, sorted(gone)), status])


def kept_names(packages: Sequence[LockedPackage], remainder: Remainder) -> frozenset[str]:
    """Give the names of the packages that stay."""
    needed = {
        package.name: package.model_copy(
            update={"depends": [name for name in package.depends if name not in remainder.needless]}
        )
        for package in packages
    }
    return closure(needed, remainder.packages)


def owner(path: str) -> str:
    """Give the package that a list of files is of; it may be named with its architecture."""
    return PurePosixPath(path).name.removesuffix(".list").partition(":")[0]


def files_to_remove(
    lists: Mapping[str, Sequence[str]], kept: Collection[str], links: Collection[str] = ()
) -> list[str]:
    """Give patterns of what only packages that go have brought, folders included.

    Args:
        lists: the paths that each package has brought.
        kept: names of packages that stay.
        links: paths that stay, whoever brings them.
    """
    staying = {real(path) for name, paths in lists.items() if name in kept for path in paths} | set(links)
    staying |= {str(parent) for path in staying for parent in PurePosixPath(path).parents}
    going = {real(path) for name, paths in lists.items() if name not in kept for path in paths}
    return sorted(glob.escape(path) for path in going - staying)


def real(path: str) -> str:
    """Give where a path of dpkg's lists leads, which are older than the merge of / and /usr."""
    path = "/" if path == "/." else path
    return f"/usr{path}" if MERGED.match(path) else path


def status_of(status: str, kept: Collection[str]) -> str:
    """Give dpkg's status file with the packages that stay."""
    stanzas = [stanza for stanza in status.strip("\n").split("\n\n") if stanza]
    return "".join(f"{stanza}\n\n" for stanza in stanzas if stanza.split("\n", 1)[0].removeprefix("Package: ") in kept)
