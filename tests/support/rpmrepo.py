"""Rpm repositories made for a test out of a few lines: metadata by a small writer of our own, signatures by gpg.

Packages are listed only; tests/support/rpms makes real ones.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from image_composer.digest import bytes_sha256
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.repository.query import PackageQuery
from image_composer.repository.resolve import resolve
from image_composer.repository.sources import RpmSource
from image_composer.run import Runner
from image_composer.spec.image import Signed, Target
from image_composer.store.content import ContentStore
from support.events import Recorded
from support.openpgp import Key, Keychain
from support.packages import downloader

PUBLISHED = datetime(2024, 1, 15, 12, 0, tzinfo=UTC)
"""When repositories were published unless they say otherwise: after the keys were made, before any test runs."""

TARGET = Target(distribution="azure-linux", release="3.0")

FLAGS = {"=": "EQ", ">=": "GE", "<=": "LE", ">": "GT", "<": "LT"}
RELATIONS = ("provides", "requires", "conflicts", "obsoletes", "recommends", "supplements", "suggests")
IN_PRIMARY = re.compile(r"/etc/.*|.*bin/.*|/usr/lib/sendmail")

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lambda content: lzma.compress(content, preset=0),
    ".zst": lambda content: subprocess.run(["zstd", "-qc"], input=content, check=True, capture_output=True).stdout,
}


@dataclass(frozen=True)
class Rpm:
    """A package as its repository lists it."""

    name: str
    epoch: str = "0"
    version: str = "1"
    release: str = "1"
    architecture: str = "x86_64"
    relations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By kind, such as `requires`: what rpm would write; `requires(pre)` for those of scriptlets."""

    files: Sequence[str] = ()
    source: str = ""
    """File name of the source package; made of the name and version when empty."""

    location: str = ""
    checksum: tuple[str, str] = ("sha256", "")
    """Kind and digest; the digest is made up when empty."""

    @classmethod
    def of(cls, line: str) -> Rpm:
        """Read a line such as `a 1:2.0-1; Requires: b >= 2, (c or d); Files: /usr/bin/a; Arch: noarch`."""
        head, *parts = line.split("; ")
        name, _, evr = head.partition(" ")
        epoch, colon, rest = evr.partition(":")
        version, _, release = (rest if colon else evr).partition("-")
        fields = {key.lower(): value for key, value in (part.split(": ", 1) for part in parts)}
        return cls(
            name,
            epoch if colon else "0",
            version or "1",
            release or "1",
            fields.pop("arch", "x86_64"),
            files=fields.pop("files", "").split(),
            source=fields.pop("source", ""),
            location=fields.pop("location", ""),
            relations={kind: value.split(", ") for kind, value in fields.items()},
        )

    @property
    def digest(self) -> str:
        """SHA-256 of a file that nobody has made."""
        whole = f"{self.name} {self.epoch}:{self.version}-{self.release} {self.architecture}"
        return self.checksum[1] or bytes_sha256(whole.encode())


@dataclass(frozen=True)
class RpmRepository:
    """A repository to be written; every field can be set to what makes it wrong."""

    packages: Sequence[str | Rpm] = ()
    id: str = "main"
    priority: int = 500
    taken: tuple[str, ...] = ()
    """Patterns of the names that are taken from it."""

    signed: Signed = Signed.PACKAGES
    modular: bool = False
    compression: str = ".gz"
    revision: str = str(int(PUBLISHED.timestamp()))
    timestamp: str = str(int(PUBLISHED.timestamp()))
    filelists: bool = True
    rewrite: Callable[[str, bytes], bytes] = lambda _, content: content
    """Changes primary.xml and filelists.xml, by their type, before repomd.xml is made of them."""

    swap: Callable[[str, bytes], bytes] = lambda _, content: content
    """Changes their compressed files after that."""

    describe: Callable[[bytes], bytes] = lambda content: content
    """Changes repomd.xml before it is signed."""


def write_rpm_repository(
    repository: RpmRepository, folder: Path, keychain: Keychain | None = None, *keys: Key, at: datetime | None = None
) -> Path:
    """Write a repository into a folder, signed with some keys or not signed; gives the folder."""
    rpms = [package if isinstance(package, Rpm) else Rpm.of(package) for package in repository.packages]
    documents = {"primary": primary_xml(rpms), **({"filelists": filelists_xml(rpms)} if repository.filelists else {})}
    repodata = folder / "repodata"
    repodata.mkdir(parents=True, exist_ok=True)
    entries = []
    for kind, document in documents.items():
        content = repository.rewrite(kind, document)
        packed = COMPRESS[repository.compression](content)
        name = f"{bytes_sha256(packed)}-{kind}.xml{repository.compression}"
        (repodata / name).write_bytes(repository.swap(kind, packed))
        entries.append(data_xml(kind, f"repodata/{name}", packed, content, repository.timestamp))
    if repository.modular:
        entries.append(data_xml("modules", "repodata/modules.yaml.gz", b"", b"", repository.timestamp))
    repomd = repository.describe(repomd_xml(entries, repository.revision))
    (repodata / "repomd.xml").write_bytes(repomd)
    (repodata / "repomd.xml.asc").unlink(missing_ok=True)
    if keychain is not None and keys:
        (repodata / "repomd.xml.asc").write_bytes(keychain.detach(repomd, *keys, at=at or PUBLISHED))
    return folder


def repomd_xml(entries: Sequence[str], revision: str) -> bytes:
    """Give a repomd.xml."""
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>{revision}</revision>
{"".join(entries)}</repomd>
"""
    return text.encode()


def data_xml(kind: str, href: str, packed: bytes, content: bytes, timestamp: str) -> str:
    """Give what repomd.xml says about one file."""
    return f"""  <data type="{kind}">
    <checksum type="sha256">{bytes_sha256(packed)}</checksum>
    <open-checksum type="sha256">{bytes_sha256(content)}</open-checksum>
    <location href="{href}"/>
    <timestamp>{timestamp}</timestamp>
    <size>{len(packed)}</size>
    <open-size>{len(content)}</open-size>
  </data>
"""


def primary_xml(rpms: Sequence[Rpm]) -> bytes:
    """Give a primary.xml."""
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" \
packages="{len(rpms)}">
{"".join(map(_package, rpms))}</metadata>"""
    return text.encode()


def filelists_xml(rpms: Sequence[Rpm]) -> bytes:
    """Give a filelists.xml."""
    packages = [
        f'<package pkgid="{rpm.digest}" name="{rpm.name}" arch="{rpm.architecture}">'
        f'<version epoch="{rpm.epoch}" ver="{rpm.version}" rel="{rpm.release}"/>'
        + "".join(f"<file>{escape(file)}</file>" for file in rpm.files)
        + "</package>\n"
        for rpm in rpms
    ]
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="{len(rpms)}">
{"".join(packages)}</filelists>"""
    return text.encode()


def _package(rpm: Rpm) -> str:
    full = f"{rpm.name}-{rpm.version}-{rpm.release}"
    location = rpm.location or f"Packages/{full}.{rpm.architecture}.rpm"
    itself = f"{rpm.name} = {rpm.epoch}:{rpm.version}-{rpm.release}"
    relations = {**rpm.relations, "provides": [itself, *rpm.relations.get("provides", ())]}
    files = "".join(f"<file>{escape(file)}</file>" for file in rpm.files if IN_PRIMARY.fullmatch(file))
    return f"""<package type="rpm"><name>{rpm.name}</name><arch>{rpm.architecture}</arch>
<version epoch="{rpm.epoch}" ver="{rpm.version}" rel="{rpm.release}"/>
<checksum type="{rpm.checksum[0]}" pkgid="YES">{rpm.digest}</checksum>
<summary>{rpm.name}</summary><description/><packager/><url/><time file="1705320000" build="1705320000"/>
<size package="1234" installed="5678" archive="6000"/><location href="{escape(location)}"/>
<format><rpm:license>MIT</rpm:license><rpm:sourcerpm>{rpm.source or full + ".src.rpm"}</rpm:sourcerpm>
{"".join(_relations(relations))}{files}</format></package>
"""


def _relations(relations: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for kind in RELATIONS:
        entries = [_entry(text, "") for text in relations.get(kind, ())]
        entries += [_entry(text, ' pre="1"') for text in relations.get(f"{kind}(pre)", ())]
        if entries:
            yield f"<rpm:{kind}>{''.join(entries)}</rpm:{kind}>\n"


def _entry(text: str, more: str) -> str:
    name, operator, evr = (text, "", "") if text.startswith("(") else (*text.split(" "), "", "")[:3]
    attributes = f" name={quoteattr(name)}{more}"
    if operator:
        epoch, colon, rest = evr.partition(":")
        version, dash, release = (rest if colon else evr).partition("-")
        attributes += f' flags="{FLAGS[operator]}" epoch="{epoch if colon else 0}" ver="{version}"'
        attributes += f' rel="{release}"' if dash else ""
    return f"<rpm:entry{attributes}/>"


class Resolver:
    """Resolves against repositories in folders, below one of its own.

    Args:
        folder: where repositories and the cache are.
        keys: those that may sign.
    """

    def __init__(self, folder: Path, *keys: Key) -> None:
        self.folder = folder
        self.keys = tuple(key.public for key in keys)
        self.events = Recorded()

    def __call__(
        self, query: PackageQuery | str, *repositories: RpmRepository, now: datetime = PUBLISHED, write: bool = True
    ) -> Lock:
        """Write repositories and resolve a query, which may be names in one string."""
        asked = PackageQuery(tuple(query.split())) if isinstance(query, str) else query
        for repository in repositories if write else ():
            write_rpm_repository(repository, self.folder / repository.id)
        reporter = Reporter(self.events)
        return resolve(
            TARGET,
            [self.source(repository) for repository in repositories],
            asked,
            "0" * 64,
            store=ContentStore(self.folder / "cache", 10**9),
            downloader=downloader(self.folder / "cache", self.events, retries=0),
            runner=Runner(reporter),
            reporter=reporter,
            now=now,
        )

    def source(self, repository: RpmRepository) -> RpmSource:
        """Give a repository as it is used."""
        return RpmSource(
            id=repository.id,
            url=(self.folder / repository.id).as_uri(),
            architecture="x86_64",
            keys=self.keys,
            priority=repository.priority,
            packages=repository.taken,
            signed=repository.signed,
        )


def resolved(folder: Path, query: PackageQuery | str, *lines: str | RpmRepository) -> list[str]:
    """Give what is chosen, each as `name version`, from repositories and from lines, which are one of their own."""
    lock = Resolver(folder)(query, *repositories_of(lines))
    return [f"{package.name} {package.version}" for package in lock.packages]


def repositories_of(lines: Sequence[str | RpmRepository]) -> list[RpmRepository]:
    """Give repositories as they are and one for all lines."""
    given = [line for line in lines if isinstance(line, RpmRepository)]
    loose = [line for line in lines if isinstance(line, str)]
    return [*given, *([RpmRepository(loose)] if loose else [])]
