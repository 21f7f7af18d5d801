"""OpenPGP certificates as people hand them over, made into the keyring that gpgv reads."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from image_composer.errors import RepositoryError

ARMOUR = re.compile(
    rb"^-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(.*?)^-----END PGP PUBLIC KEY BLOCK-----",
    re.MULTILINE | re.DOTALL,
)

PUBLIC_KEY_TAGS = frozenset({6})
"""What a certificate starts with: RFC 9580, section 5, packet type 6 (public key)."""


def keyring(keys: Sequence[bytes], repository: str) -> bytes:
    """Give all certificates in the binary form that gpgv takes as a keyring.

    Args:
        keys: files, each with one or more certificates, armoured or binary.
        repository: id, for messages.

    Raises:
        RepositoryError: REPO_KEY_INVALID.
    """
    if not keys:
        raise _invalid(repository, "no key was given")
    return b"".join(_certificates(key, repository) for key in keys)


def _certificates(key: bytes, repository: str) -> bytes:
    if key[:1] >= b"\x80":  # every OpenPGP packet starts with its high bit set, no text does
        binary = key
    else:
        blocks = [_dearmor(match[1], repository) for match in ARMOUR.finditer(key)]
        if not blocks:
            raise _invalid(repository, "a key is neither ASCII-armoured nor binary OpenPGP")
        binary = b"".join(blocks)
    if _packet_type(binary) not in PUBLIC_KEY_TAGS:
        raise _invalid(repository, "a key file does not start with a public key")
    return binary


def _dearmor(block: bytes, repository: str) -> bytes:
    """Decode what is between an armour's header and tail lines; the checksum is optional and of no use to us."""
    _, empty, body = block.replace(b"\r", b"").partition(b"\n\n")
    if not empty:
        body = block.lstrip(b"\n")
    lines = [line.strip() for line in body.split(b"\n")]
    encoded = b"".join(line for line in lines if not line.startswith(b"="))
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise _invalid(repository, f"a key's armour is damaged ({error})") from error


def _packet_type(binary: bytes) -> int:
    """Give the type of the first packet: bits 5-0 of a new header, bits 5-2 of an old one."""
    header = binary[0] if binary else 0
    if not header & 0x80:
        return 0
    return header & 0x3F if header & 0x40 else header >> 2 & 0x0F


def _invalid(repository: str, what: str) -> RepositoryError:
    return RepositoryError(
        "REPO_KEY_INVALID",
        f"repository {repository}: {what}",
        hint="give the repository's public keys as 'gpg --armor --export' writes them",
    )
