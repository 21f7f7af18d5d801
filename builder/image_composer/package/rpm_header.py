"""What an rpm package file says of itself, and what there is to verify it by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image_composer.errors import RepositoryError
from image_composer.package.rpm_blob import (
    Blob,
    malformed,
    read_lead,
    read_main,
    read_signatures,
    read_stored,
)

NAME, VERSION, RELEASE, EPOCH, SUMMARY = 1000, 1001, 1002, 1003, 1004
BUILD_TIME, VENDOR, LICENSE, PACKAGER, URL, ARCHITECTURE = 1006, 1011, 1014, 1015, 1020, 1022
SOURCE_RPM, SOURCE_PACKAGE = 1044, 1106
PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGORITHM = 5092, 5093
MAIN_TAGS: Final = (
    *(NAME, VERSION, RELEASE, EPOCH, SUMMARY, BUILD_TIME, VENDOR, LICENSE, PACKAGER, URL, ARCHITECTURE),
    *(SOURCE_RPM, SOURCE_PACKAGE, PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGORITHM),
)
"""Tags of the header: rpm's manual, "Package Tags"."""

DSA_HEADER, RSA_HEADER, SHA256_HEADER, OPENPGP = 267, 268, 273, 278
PGP, GPG = 1002, 1005
DIR_INDEXES, BASE_NAMES, DIR_NAMES = 1116, 1117, 1118
FILE_TAGS: Final = (NAME, DIR_INDEXES, BASE_NAMES, DIR_NAMES)
"""Tags with the paths of a package's files, each in two parts."""

MOST_FILES: Final = 1 << 20
"""Files of one package that are read; the kernel's sources have 20,000."""

SIGNATURE_TAGS: Final = (DSA_HEADER, RSA_HEADER, SHA256_HEADER, OPENPGP, PGP, GPG)
"""Tags of the header with the signatures; DSA_HEADER stands for every algorithm but RSA, the last two are of rpm 3."""

SHOWN: Final = 128
"""Characters of a hostile name that a message shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmHeader:
    """What a package says of itself."""

    name: str
    epoch: int | None
    version: str
    release: str
    architecture: str
    """As the distribution names it; `noarch`, or `src` of a package of sources."""

    build_time: int | None
    """Seconds since 1970."""

    source_rpm: str | None
    """File name of the package of sources it was built from."""

    license: str | None
    vendor: str | None
    packager: str | None
    url: str | None
    summary: str | None

    @property
    def evr(self) -> str:
        """The full version, `[epoch:]version-release`; an epoch of 0 is none."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmSeal:
    """What there is to verify a package by."""

    header: bytes
    """The header as signatures over it cover it."""

    header_sha256: str | None
    """Its digest, beside it: against accidents only."""

    signatures: tuple[bytes, ...]
    """OpenPGP signatures over the header, binary."""

    armoured: tuple[str, ...]
    """Those in the newer form, in base 64."""

    legacy: bool
    """Whether there is a signature over header and payload together, as rpm 3 made them."""

    payload_digest: str | None
    """Digest of the compressed payload, which the header vouches for."""

    payload_algorithm: int | None
    """OpenPGP's number of its algorithm."""

    payload_start: int
    """Where the payload begins in the file, whose end is the payload's."""


def read_header(path: Path, what: str) -> RpmHeader:
    """Read what a package says of itself; its payload is not looked at.

    Args:
        path: the file.
        what: repository and package, for messages.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    return read_package(path, what)[0]


def read_stored_header(content: bytes, what: str) -> RpmHeader:
    """Read what an installed package says of itself, from rpm's database.

    Args:
        content: one row of it.
        what: for messages.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    return _header(read_stored(content, MAIN_TAGS, what))


def read_stored_paths(content: bytes, what: str) -> list[str]:
    """Read the paths of an installed package's files, from rpm's database.

    Args:
        content: one row of it.
        what: for messages.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    blob = read_stored(content, FILE_TAGS, what)
    folders = blob.texts(DIR_NAMES, most=MOST_FILES)
    indexes, names = blob.numbers(DIR_INDEXES), blob.texts(BASE_NAMES, most=MOST_FILES)
    if len(indexes) != len(names) or any(index >= len(folders) for index in indexes):
        malformed(what, "its list of files does not add up")
    return [f"{folders[index]}{name}" for index, name in zip(indexes, names, strict=True)]


def read_package(path: Path, what: str) -> tuple[RpmHeader, RpmSeal]:
    """Read what a package says of itself, and what there is to verify it by.

    Args:
        path: the file.
        what: repository and package, for messages.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    with path.open("rb") as stream:
        read_lead(stream, what)
        signatures = read_signatures(stream, SIGNATURE_TAGS, what)
        main = read_main(stream, MAIN_TAGS, what)
        return _header(main), _seal(signatures, main, stream.tell())


def build_times(paths: Iterable[Path]) -> Iterator[int]:
    """Give the time that each package was built, in seconds since 1970, where it says so.

    Raises:
        RepositoryError: REPO_MALFORMED.
    """
    for path in paths:
        built = read_header(path, path.name).build_time
        if built is not None:
            yield built


def check_identity(header: RpmHeader, name: str, evr: str, architecture: str, what: str) -> None:
    """Refuse a package that is another one than the metadata says.

    Else an old version, or any other package that was ever signed, could be passed off as the one that is wanted.

    Args:
        header: what the package says of itself.
        name: the package that is wanted.
        evr: its full version, `[epoch:]version-release`.
        architecture: its architecture.
        what: repository and package, for messages.

    Raises:
        RepositoryError: REPO_PACKAGE_MISMATCH.
    """
    wanted = name, evr.removeprefix("0:"), architecture
    found = header.name, header.evr, header.architecture
    if found != wanted:
        raise RepositoryError(
            "REPO_PACKAGE_MISMATCH",
            f"{what} is in truth the package {_shown(*found)}, not {_shown(*wanted)} as the repository's metadata says",
            hint="the mirror is broken or tampered with: name another mirror",
        )


def _shown(name: str, evr: str, architecture: str) -> str:
    text = f"{name}-{evr}.{architecture}"
    return "".join(letter if letter.isprintable() else "?" for letter in text[:SHOWN])


def _header(main: Blob) -> RpmHeader:
    source = main.count(SOURCE_PACKAGE) > 0 or main.count(SOURCE_RPM) == 0
    return RpmHeader(
        name=_required(main, NAME),
        epoch=main.number(EPOCH),
        version=_required(main, VERSION),
        release=_required(main, RELEASE),
        architecture="src" if source else _required(main, ARCHITECTURE),
        build_time=main.number(BUILD_TIME),
        source_rpm=main.text(SOURCE_RPM),
        license=main.text(LICENSE),
        vendor=main.text(VENDOR),
        packager=main.text(PACKAGER),
        url=main.text(URL),
        summary=main.text(SUMMARY),
    )


def _required(main: Blob, tag: int) -> str:
    found = main.text(tag)
    if not found:
        malformed(main.what, f"it has no tag {tag}")
    return found


def _seal(signatures: Blob, main: Blob, payload_start: int) -> RpmSeal:
    if main.count(PAYLOAD_DIGEST) > 1:
        malformed(main.what, "it has several payloads")
    return RpmSeal(
        header=main.raw,
        header_sha256=signatures.text(SHA256_HEADER),
        signatures=tuple(found for tag in (RSA_HEADER, DSA_HEADER) if (found := signatures.binary(tag)) is not None),
        armoured=signatures.texts(OPENPGP),
        legacy=signatures.count(PGP) > 0 or signatures.count(GPG) > 0,
        payload_digest=main.text(PAYLOAD_DIGEST),
        payload_algorithm=main.number(PAYLOAD_DIGEST_ALGORITHM),
        payload_start=payload_start,
    )
