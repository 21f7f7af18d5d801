"""From the files of Debian's packages to the trees of ours: where a file lies, whose it is, what rpm says about it."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from support.rpms.tables import Attributes, File, Package, Table

MERGED = (("/lib64/", "/usr/lib/"), ("/bin/", "/usr/bin/"), ("/sbin/", "/usr/sbin/"), ("/lib/", "/usr/lib/"))
"""Where files of folders lie that are links on a system with a merged /usr, as `filesystem` has them."""

COPYRIGHT = "/usr/share/doc/*/copyright"

SHARED_LIBRARY = re.compile(r"\.so(\.|$)")


@dataclass(frozen=True)
class Entry:
    """A path in a package."""

    path: str
    kind: str
    """`file`, `link` or `folder`."""

    mode: int
    owner: str = "root"
    group: str = "root"
    capabilities: str | None = None
    ghost: bool = False
    config: bool = False
    license: bool = False


class Tree:
    """The files of one package, in a folder that becomes its build root."""

    def __init__(self, package: Package, folder: Path) -> None:
        self.package = package
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        folder.mkdir(parents=True)

    def add_member(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        """Take a file over from Debian."""
        path = self.package.moves.get(path, path)
        place = self._place(path)
        if member.isdir():
            place.mkdir(exist_ok=True)
        elif member.issym():
            target = link_target(member.name[1:], member.linkname, path)
            if target is None:
                return
            place.symlink_to(target)
        elif member.islnk():
            os.link(self._place(self.package.moves.get(m := merged(member.linkname[1:]), m)), place)
        else:
            content = archive.extractfile(member)
            assert content is not None
            with place.open("wb") as stream:
                shutil.copyfileobj(content, stream)
            os.utime(place, (member.mtime, member.mtime))
        kind = "folder" if member.isdir() else "link" if member.issym() else "file"
        entry = entry_of(path, kind, member, self.package.attributes)
        if kind == "file":
            place.chmod(entry.mode & 0o777 | 0o600)  # rpm's generators look into what may be executed only
        self.entries[path] = entry

    def add_own(self, path: str, file: File) -> None:
        """Add a file that the table has."""
        place = self._place(path)
        place.unlink(missing_ok=True) if place.is_symlink() or place.is_file() else None
        if file.folder:
            place.mkdir(exist_ok=True)
        elif file.link is not None:
            place.symlink_to(file.link)
        else:
            place.write_bytes((file.text or "").encode() if file.joined is None else self._joined(file.joined))
        kind = "folder" if file.folder else "link" if file.link is not None else "file"
        mode = file.mode if file.mode is not None else 0o755 if file.folder else 0o644
        config = kind == "file" and path.startswith("/etc/") and not file.plain
        self.entries[path] = Entry(path, kind, mode, file.owner, file.group, None, file.ghost, config)

    def _joined(self, pattern: str) -> bytes:
        found = sorted(
            path for path, entry in self.entries.items() if fnmatchcase(path, pattern) and entry.kind == "file"
        )
        content = b"".join(self._place(path).read_bytes() for path in found)
        for path in found:
            self._place(path).unlink()
            del self.entries[path]
        return content

    def _place(self, path: str) -> Path:
        place = self.folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


def merged(path: str) -> str:
    """Say where a path of Debian's lies when /usr is merged."""
    for before, after in MERGED:
        if path.startswith(before):
            return after + path[len(before) :]
    return path.replace("/usr/lib64/", "/usr/lib/", 1) if path.startswith("/usr/lib64/") else path


def link_target(name: str, target: str, path: str) -> str | None:
    """Say where a link has to point from its new path; None when it would point to itself.

    Args:
        name: its path in Debian.
        target: where it points there.
        path: its path in our package.
    """
    whole = merged(posixpath.normpath(posixpath.join(posixpath.dirname(name), target)))
    if whole == path:
        return None
    return whole if target.startswith("/") else posixpath.relpath(whole, posixpath.dirname(path))


def entry_of(path: str, kind: str, member: tarfile.TarInfo, attributes: Mapping[str, Attributes]) -> Entry:
    """Say what rpm should say about a file of Debian's.

    Owners other than root are named by the tables: Debian's numbers mean nothing here.
    """
    given = attributes.get(path)
    if given is None:
        assert member.uid == member.gid == 0, f"{path} belongs to {member.uname}:{member.gname}: say whose it is here"
    given = given or Attributes()
    mode = member.mode & 0o7777 if given.mode is None else given.mode
    if kind == "file" and SHARED_LIBRARY.search(posixpath.basename(path)):
        mode |= 0o111  # rpm looks for a library's name only in what may be executed
    config = kind == "file" and path.startswith("/etc/")
    return Entry(path, kind, mode, given.owner, given.group, given.capabilities, False, config)


class Sorting:
    """Says which package gets a file of Debian's."""

    def __init__(self, table: Table) -> None:
        self._dropped = table.dropped
        self._owner = {deb: package for package in table.packages for deb in package.debs}
        self._claims: dict[str, list[tuple[str, Package]]] = {}
        for package in table.packages:
            for deb, patterns in package.take.items():
                self._claims.setdefault(deb, []).extend((pattern, package) for pattern in patterns)

    def package_for(self, deb: str, path: str) -> Package | None:
        """Give the package that gets a path; None when it is left out."""
        if _matches(path, self._dropped):
            return None
        claimed = (package for pattern, package in self._claims.get(deb, ()) if fnmatchcase(path, pattern))
        package = next(claimed, self._owner.get(deb))
        return None if package is None or _matches(path, package.drop) else package


def unpack(deb: str, file: Path, sorting: Sorting, tree_of: Callable[[str], Tree]) -> None:
    """Take over the files of one package of Debian.

    Args:
        deb: what the tables call it.
        file: the package.
        sorting: says where its files go.
        tree_of: gives the tree of a package of ours.
    """
    listing = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE)
    folders: list[tuple[str, Tree]] = []
    full, kept = set(), set()
    with listing, tarfile.open(fileobj=listing.stdout, mode="r|") as archive:
        for member in archive:
            path = merged(member.name[1:])
            full.add(posixpath.dirname(path))
            if member.isfile() and fnmatchcase(path, COPYRIGHT):
                _take_license(deb, sorting, tree_of, member, archive)
            package = sorting.package_for(deb, path) if path else None
            if package is None:
                continue
            tree = tree_of(package.name)
            tree.add_member(path, member, archive)
            if member.isdir():
                folders.append((path, tree))
            else:
                kept |= {str(parent) for parent in Path(path).parents}
    assert listing.returncode == 0, f"{file} can't be unpacked"
    for path, tree in folders:
        if path in full and path not in kept:
            tree.entries.pop(path, None)  # all that Debian has there was left out


def finish(tree: Tree, base: Mapping[str, File], words: Mapping[str, str]) -> None:
    """Add what the table has; leave to `filesystem` the folders that it has.

    Args:
        tree: with what comes from Debian.
        base: what `filesystem` has.
        words: what the tables couldn't know.
    """
    for path, file in tree.package.files.items():
        tree.add_own(_known(path, words), replace(file, text=file.text and _known(file.text, words)))
    if tree.package.name != "filesystem":
        for path in [path for path, entry in tree.entries.items() if entry.kind == "folder" and path in base]:
            del tree.entries[path]


def _known(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _take_license(
    deb: str, sorting: Sorting, tree_of: Callable[[str], Tree], member: tarfile.TarInfo, archive: tarfile.TarFile
) -> None:
    package = sorting.package_for(deb, "/")
    if package is not None:
        path = f"/usr/share/licenses/{package.name}/copyright.{deb}"
        tree = tree_of(package.name)
        tree.add_member(path, member, archive)
        tree.entries[path] = Entry(path, "file", 0o644, license=True)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
