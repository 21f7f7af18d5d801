"""Unpacking deb packages inside the root, in parallel. Standard library only, see inside.py.

dpkg unpacks one package after another and is the slowest part of an installation. Into an empty root the same result
can be had by several workers at once: files are created, never replaced. Where packages are not disjoint (two bring
the same path), this refuses and the caller lets dpkg do it. tests/integration compares both ways.

Formats: deb(5), deb-conffiles(5), deb-triggers(5); dpkg's database as dpkg 1.21 and 1.22 write it.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import signal
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
ADMIN = "/var/lib/dpkg"
MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Folders that are links into /usr, and stay so."""
DECOMPRESSORS = {".xz": ("xz", "-dc", "--single-stream"), ".gz": ("gzip", "-dcq"), ".zst": ("zstd", "-dcq")}


class NotDisjointError(Exception):
    """Packages touch each other's files, so that only dpkg can tell who wins."""


def send(request: dict[str, Any]) -> dict[str, Any]:
    """Decompress one part of packages, control.tar or data.tar, into a pipe each; each list in a thread of its own.

    Runs among the host's programs, not in the root.

    Raises:
        ValueError: a package can't be read. That a reader has gone away is no failure: it knows why.
    """
    failures: list[str] = []

    def send_list(packages: list[dict[str, Any]]) -> None:
        for number, package in enumerate(packages):
            try:
                with os.fdopen(package["fd"], "wb", buffering=0) as pipe:
                    send_part(package["path"], request["part"], pipe)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                if not is_broken_pipe(error):
                    failures.append(f"{posixpath.basename(package['path'])}: {told(error)}")
                for rest in packages[number + 1 :]:  # their readers must see an end
                    os.close(rest["fd"])
                return

    threads = [threading.Thread(target=send_list, args=(packages,)) for packages in request["lists"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise ValueError("; ".join(failures))
    return {}


def is_broken_pipe(error: Exception) -> bool:
    """Say whether the reader of a pipe went away, under us or under a program of ours."""
    ended_by = error.returncode if isinstance(error, subprocess.CalledProcessError) else 0
    return isinstance(error, BrokenPipeError) or ended_by == -signal.SIGPIPE


def told(error: Exception) -> str:
    """Give an error's own sentence where it is ours, with its kind otherwise."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def send_part(path: str, part: str, pipe: IO[bytes]) -> None:
    """Send one part of a package down its pipe."""
    with Path(path).open("rb") as package:
        for name, size in members(package):
            start = package.tell()
            if posixpath.splitext(name)[0] == part or name == part:
                decompress(package, name, size, pipe)
                return
            package.seek(start + size + size % 2)
    raise ValueError(f"a deb package without {part}")


def members(package: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Give name and size of each member of an ar archive, the file standing at the member's content."""
    if package.read(8) != b"!<arch>\n":
        raise ValueError("not a deb package")
    while header := package.read(60):
        size = header[48:58].strip()
        if not size.isdigit():
            raise ValueError("a deb package with a broken header")
        yield header[:16].decode("ascii").strip().rstrip("/"), int(size)


def decompress(package: IO[bytes], name: str, size: int, pipe: IO[bytes]) -> None:
    """Decompress a member, from where the file stands, straight into a pipe."""
    suffix = posixpath.splitext(name)[1]
    if suffix == ".tar":
        while size and (chunk := package.read(min(size, CHUNK))):
            pipe.write(chunk)
            size -= len(chunk)
    elif size <= CHUNK:
        subprocess.run(DECOMPRESSORS[suffix], input=package.read(size), stdout=pipe, check=True)
    else:  # the last member of its archive, but for a byte of padding that the decompressors don't mind
        os.lseek(package.fileno(), package.tell(), os.SEEK_SET)  # the child shares the position, not our buffer
        subprocess.run(DECOMPRESSORS[suffix], stdin=package, stdout=pipe, check=True)


def unpack(request: dict[str, Any]) -> dict[str, Any]:
    """Unpack packages from pipes over the root, each list in a process of its own, and write dpkg's lists of files.

    Returns:
        `refused`: why dpkg must do it instead, or null.
    """
    readers = [start_worker(packages) for packages in request["lists"]]
    results = [json.loads(reader.read()) for reader in readers]
    for _ in readers:
        os.wait()
    broken = [result["error"] for result in results if "error" in result]
    if broken:
        raise ValueError("; ".join(broken))
    refused = [result["refused"] for result in results if "refused" in result]
    if refused:
        return {"refused": refused[0]}
    folders: dict[str, list[int]] = {}
    for result in results:
        for path, claim in result["folders"].items():
            folders[path] = min(folders.get(path, claim), claim)
    for path, (_, mode, uid, gid) in folders.items():
        os.chown(path, uid, gid)
        os.chmod(path, mode)
    return {"refused": None}


def start_worker(packages: list[dict[str, Any]]) -> IO[bytes]:
    """Fork a worker for a list of packages; its result comes as JSON from the stream given back."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(read_end)
        try:
            result = unpack_list(packages)
        except NotDisjointError as error:
            result = {"refused": str(error)}
        except Exception as error:  # noqa: BLE001 - becomes the message of an error of the composer
            result = {"error": told(error)}
        with os.fdopen(write_end, "wb") as stream:
            stream.write(json.dumps(result).encode())
        os._exit(0)
    os.close(write_end)
    for package in packages:
        os.close(package["fd"])
    return os.fdopen(read_end, "rb")


def unpack_list(packages: list[dict[str, Any]]) -> dict[str, Any]:
    """Unpack packages one after another; gives the claims on folders, see `make_folder`.

    Raises:
        ValueError: names the package that can't be unpacked.
    """
    folders: dict[str, list[int]] = {}
    for package in packages:
        try:
            paths, sums = unpack_package(package, folders)
        except (OSError, ValueError, tarfile.TarError) as error:
            raise ValueError(f"the package {package['name']} can't be unpacked: {told(error)}") from error
        if package["record"]:
            write(f"{ADMIN}/info/{package['record']}.list", "".join(f"{path}\n" for path in paths).encode(), 0o644)
        if package["sums"]:
            lines = "".join(f"{digest}  {path[1:]}\n" for path, digest in sums.items())
            write(f"{ADMIN}/info/{package['record']}.md5sums", lines.encode(), 0o644)
    return {"folders": folders}


def unpack_package(package: dict[str, Any], folders: dict[str, list[int]]) -> tuple[list[str], dict[str, str]]:
    """Unpack one package; gives the paths of what is in it, as dpkg lists them, and the MD5 of files, if asked for."""
    paths = []
    sums: dict[str, str] = {}
    conffiles = set(package["conffiles"])
    with os.fdopen(package["fd"], "rb", buffering=0) as stream:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
            for member in archive:
                path = place(member.name)
                paths.append("/." if path == "/" else path)
                if member.isdir():
                    make_folder(package["order"], path, member, folders)
                else:
                    create(archive, member, path + ".dpkg-new" if path in conffiles else path)
                    if package["sums"] and (member.isreg() or member.islnk()):
                        sums[path] = file_md5(path + ".dpkg-new" if path in conffiles else path)
        while stream.read(CHUNK):  # padding after the archive's end must not block the sender
            pass
    return paths, sums


def file_md5(path: str) -> str:
    """Give the MD5 of a file, which is what dpkg's lists hold; it guards against accidents only."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def place(name: str) -> str:
    """Give the path in the root that a member's name stands for.

    Raises:
        ValueError: it leads elsewhere, or would be two lines of dpkg's list.
    """
    if ".." in name.split("/") or "\n" in name:
        raise ValueError(f"{name!r} is not a name that a file of a package may have")
    return posixpath.normpath("/" + name.lstrip("/"))


def make_folder(order: int, path: str, member: tarfile.TarInfo, folders: dict[str, list[int]]) -> None:
    """Make a folder; of several packages that bring it, the first in order has a say about owner and mode.

    Args:
        order: of the package.
        path: of the folder.
        member: of the package.
        folders: the claims so far by path: order, mode, owner, group.
    """
    if path in MERGED and os.path.islink(path):
        return
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        if os.path.islink(path) or not os.path.isdir(path):
            raise NotDisjointError(f"{path} is a folder in one package and something else in another") from None
    except FileNotFoundError:
        raise NotDisjointError(f"the folder of {path} is not in its package") from None
    claim = [order, member.mode & 0o7777, member.uid, member.gid]
    folders[path] = min(folders.get(path, claim), claim)


def create(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    """Create one file, link or fifo; nothing may be there yet."""
    try:
        if member.issym() and path in MERGED and os.path.islink(path):
            return
        if member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            target = place(member.linkname)
            os.link(target if os.path.lexists(target) else target + ".dpkg-new", path, follow_symlinks=False)
            return
        elif member.isreg():
            create_file(archive, member, path)
            return
        elif member.isfifo():
            os.mkfifo(path, member.mode & 0o7777)
        else:
            raise ValueError(f"{path} is a device node, which packages can't bring")
    except FileExistsError:
        raise NotDisjointError(f"{path} is brought by two packages") from None
    except FileNotFoundError:
        raise NotDisjointError(f"the folder of {path} is not in its package") from None
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    os.utime(path, ns=(int(member.mtime) * 10**9,) * 2, follow_symlinks=False)


def create_file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    """Create a regular file with content, owner, mode and time."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        content = archive.extractfile(member)
        while content is not None and (chunk := content.read(CHUNK)):
            target.write(chunk)
        os.fchown(descriptor, member.uid, member.gid)
        os.fchmod(descriptor, member.mode & 0o7777)
        os.utime(descriptor, ns=(int(member.mtime) * 10**9,) * 2)


def write(path: str, content: bytes, mode: int) -> None:
    """Write a file of dpkg's database."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
