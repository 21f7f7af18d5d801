"""Deb packages as no tool makes them: with any member that the formats can express."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.debrepo import DebRepository, write_repository
from support.debs import Deb, index, paragraph_of
from support.openpgp import Key, Keychain


@dataclass(frozen=True)
class Member:
    """A member of data.tar."""

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    """What a link leads to."""

    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)


def folder(name: str) -> Member:
    return Member(name, kind=tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str) -> Member:
    return Member(name, kind=tarfile.SYMTYPE, target=target, mode=0o777)


def hard_link(name: str, target: str) -> Member:
    return Member(name, kind=tarfile.LNKTYPE, target=target)


@dataclass(frozen=True)
class RawDeb:
    """A package with members in this order, and nothing added to them."""

    deb: Deb
    """Its control file and scripts; the files are not used."""

    members: tuple[Member, ...] = ()
    control: Mapping[str, str] = field(default_factory=dict)
    """Further files of its control part, or other content for those that are there."""

    broken: bool = False
    """Whether the second half of its files is missing."""

    def write(self, pool: Path) -> str:
        """Write it into a folder `pool`, and give its paragraph for an index."""
        control = {"control": self.deb.control(), **self.deb.scripts, **self.control}
        members = (Member(f"./{name}", text.encode(), mode=0o755) for name, text in control.items())
        packed = gzip.compress(tar(self.members), mtime=0)
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": gzip.compress(tar(members), mtime=0),
            "data.tar.gz": packed[: len(packed) // 2] if self.broken else packed,
        }
        path = pool / f"{self.deb.name}_{self.deb.version}_{self.deb.architecture}.deb"
        path.write_bytes(ar(parts))
        return paragraph_of(self.deb, path, f"pool/{path.name}")


def write_raw_repository(where: Path, keychain: Keychain, key: Key, *packages: RawDeb) -> None:
    """Write a repository of such packages into a folder."""
    pool = where / "pool"
    pool.mkdir()
    indexes = {"main/binary-amd64": index(*(package.write(pool) for package in packages))}
    write_repository(DebRepository(indexes=indexes, valid_for=None), where, keychain, key)


def tar(members: Iterable[Member]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname, info.mode = member.kind, member.target, member.mode
            info.uid, info.gid, info.mtime = member.uid, member.gid, 1700000000
            info.devmajor, info.devminor = member.device
            info.size = len(member.content)
            archive.addfile(info, io.BytesIO(member.content))
    return written.getvalue()


def ar(parts: Mapping[str, bytes]) -> bytes:
    written = b"!<arch>\n"
    for name, content in parts.items():
        written += f"{name:<16}{1700000000:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        written += content + b"\n" * (len(content) % 2)
    return written
