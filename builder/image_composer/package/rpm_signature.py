"""Whether an rpm package is what its signature vouches for: signature over header, digest of payload in header.

That is the chain which rpm itself calls "header signature" and "payload digest". What older packages have instead, a
signature over header and payload at once or digests by MD5 and SHA-1, is not taken: anybody can make it fit, or it
covers what has to be read before it can be checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from image_composer.digest import bytes_sha256
from image_composer.errors import RepositoryError
from image_composer.package.rpm_blob import malformed
from image_composer.package.rpm_header import RpmSeal, read_package
from image_composer.repository.certificate import SIGNATURE, Packet, packets
from image_composer.repository.openpgp import verify_detached
from image_composer.run import Runner

DIGESTS = {8: "sha256", 9: "sha384", 10: "sha512"}
"""By OpenPGP's number (RFC 9580, section 9.5): what payloads may be vouched for with."""

BINARY_DOCUMENT = 0x00
"""Type of a signature: RFC 9580, section 5.2.1."""

TYPE_AT = {3: 2, 4: 1}
"""By a signature's version: where its type is."""

PIECE = 1024 * 1024
"""Bytes of a payload read at once."""


def verify_rpm(
    path: Path,
    keys: Sequence[bytes],
    *,
    runner: Runner,
    repository: str,
    package: str,
    clock: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """Verify an rpm package: whose it is, and that nothing in it was changed.

    Args:
        path: the file.
        keys: certificates that are trusted for it, armoured or binary.
        runner: runs gpgv.
        repository: id, for messages.
        package: the package, for messages.
        clock: seconds since 1970, to refuse signatures of the future.

    Returns:
        Fingerprints of the primary keys whose valid signature was found, sorted.

    Raises:
        RepositoryError: REPO_UNSIGNED, REPO_KEY_UNKNOWN, REPO_KEY_EXPIRED before it signed, REPO_KEY_REVOKED,
            REPO_KEY_INVALID, REPO_SIGNATURE_INVALID, REPO_MALFORMED.
    """
    what = f"repository {repository}: package {package}"
    _, seal = read_package(path, what)
    signature = b"".join(_signatures(seal, what))
    if not signature:
        raise _without_signature(seal, what)
    if seal.header_sha256 not in (None, bytes_sha256(seal.header)):
        raise _invalid(f"{what} has a header that does not fit its digest")
    signed = verify_detached(
        seal.header,
        signature,
        keys,
        runner=runner,
        repository=repository,
        name=f"package {package}",
        at_signing=True,
        clock=clock,
    )
    _check_payload(path, seal, what)
    return signed.fingerprints


def _signatures(seal: RpmSeal, what: str) -> Iterator[bytes]:
    """Give the signatures, none of which may be any other OpenPGP message: gpgv would judge that one's content."""
    for found in (*seal.signatures, *(_decoded(text, what) for text in seal.armoured)):
        parts = list(packets(found))
        if not parts or parts[-1].end != len(found) or not all(_is_signature(part) for part in parts):
            raise _invalid(f"{what} carries something else in place of a signature")
        yield found


def _is_signature(packet: Packet) -> bool:
    """Say whether a packet is a signature over bytes as they are."""
    place = TYPE_AT.get(packet.body[0], 0) if packet.body else 0
    return packet.kind == SIGNATURE and place > 0 and packet.body[place : place + 1] == bytes([BINARY_DOCUMENT])


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        malformed(what, "a signature is not in base 64")


def _check_payload(path: Path, seal: RpmSeal, what: str) -> None:
    algorithm = DIGESTS.get(seal.payload_algorithm or 0)
    if algorithm is None or seal.payload_digest is None:
        raise _invalid(
            f"{what} is signed, but its signature covers no SHA-256 or stronger digest of its files", OLD_HINT
        )
    with path.open("rb") as stream:
        stream.seek(seal.payload_start)
        if _digest(stream, algorithm) != seal.payload_digest.lower():
            raise _invalid(f"{what} was changed after it was signed: its files do not fit their digest")


def _digest(stream: IO[bytes], algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    while piece := stream.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _without_signature(seal: RpmSeal, what: str) -> RepositoryError:
    if seal.legacy:
        return _invalid(f"{what} has only a signature of the old kind, over header and payload at once", OLD_HINT)
    return RepositoryError(
        "REPO_UNSIGNED",
        f"{what} carries no signature",
        hint="sign the package, or name a repository that has it signed",
    )


def _invalid(message: str, hint: str | None = None) -> RepositoryError:
    return RepositoryError("REPO_SIGNATURE_INVALID", message, hint=hint or TAMPERED_HINT)


TAMPERED_HINT = "the mirror is broken or tampered with: name another mirror"
OLD_HINT = "have the package built and signed by rpm 4.14 or newer"
