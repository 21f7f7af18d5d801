"""Reads and checks the signatures of EFI programs, which are Authenticode's.

https://learn.microsoft.com/windows-hardware/drivers/install/authenticode: a PKCS #7 SignedData (RFC 2315) over the
SHA-256 of the program without its checksum and its signatures. Only what Secure Boot uses is known: SHA-256 and RSA.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from image_composer.disk.pe import PeFormatError, PeHeaders, read_pe_headers
from image_composer.disk.rounding import round_up
from image_composer.spec import der
from image_composer.spec.certificate import Certificate, read_certificate
from image_composer.spec.der import DerError, Element

HEADERS_SIZE = 16 * 1024
"""Bytes read for the headers, which fill one or two file alignments of 512 bytes."""

LARGEST_TABLE = 1 << 20
"""Bytes; a signature with its certificates has a few KiB."""

_CHUNK = 1 << 20
_ENTRY = struct.Struct("<IHH")
"""Length, revision and type of an entry in the table of signatures."""

_PKCS_SIGNED_DATA = 2
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 in an RSA signature (RFC 8017, 9.2)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of a program."""

    signer: Certificate
    holds: bool
    """Whether it was made with the certificate's key, over exactly this program."""


def program_digest(program: IO[bytes]) -> bytes:
    """Give the SHA-256 that a program's signature is about: the same before and after signing.

    Raises:
        PeFormatError: it is no program.
    """
    program.seek(0)
    headers = read_pe_headers(program.read(HEADERS_SIZE))
    length = program.seek(0, os.SEEK_END)
    end = headers.signatures[0] or length
    digest = hashlib.sha256()
    for start, stop in _signed_ranges(headers, end):
        program.seek(start)
        for place in range(start, stop, _CHUNK):
            digest.update(program.read(min(_CHUNK, stop - place)))
    digest.update(bytes(round_up(end, 8) - end))  # signing fills it up
    return digest.digest()


def read_signatures(program: IO[bytes]) -> list[Signature]:
    """Give the signatures of a program; none when it has none.

    Raises:
        PeFormatError: it is no program, or what should be a signature is none.
    """
    program.seek(0)
    offset, size = read_pe_headers(program.read(HEADERS_SIZE)).signatures
    if not size:
        return []
    if program.seek(0, os.SEEK_END) != offset + size:
        raise PeFormatError("its signatures are not at its end, so that they can't be about all of it")
    program.seek(offset)
    table = program.read(min(size, LARGEST_TABLE))
    digest = program_digest(program)
    try:
        return [_signature(blob, digest) for blob in _entries(table)]
    except (ValueError, IndexError, struct.error) as error:
        raise PeFormatError(f"its signature can't be read: {error}") from error


def _signed_ranges(headers: PeHeaders, end: int) -> Iterator[tuple[int, int]]:
    start = 0
    for hole, size in ((headers.checksum, 4), (headers.signature_entry, 8)):
        yield start, hole
        start = hole + size
    yield start, end


def _entries(table: bytes) -> Iterator[bytes]:
    while table:
        length, _, kind = _ENTRY.unpack_from(table)
        if not _ENTRY.size < length <= len(table):
            raise DerError("the table's entry has a length that makes no sense")
        if kind == _PKCS_SIGNED_DATA:
            yield table[_ENTRY.size : length]
        table = table[round_up(length, 8) :]


def _signature(blob: bytes, program: bytes) -> Signature:
    outer = der.element(blob, trailing=True).expect(der.SEQUENCE).children()  # zeros may fill up the entry
    if len(outer) != 2 or der.object_id(outer[0]) != _SIGNED_DATA:
        raise DerError("it is no SignedData")
    _, _, content, *rest = der.element(outer[1].content).expect(der.SEQUENCE).children()
    certificates = [read_certificate(each.whole) for part in rest if part.tag == 0xA0 for each in part.children()]
    signers = [signer for part in rest if part.tag == der.SET for signer in part.children()]
    if len(signers) != 1:
        raise DerError("it has other than one signer")
    _, name, _, *fields = signers[0].children()
    issuer, serial = name.children()
    number = int.from_bytes(serial.content, "big", signed=True)
    for certificate in certificates:
        if (certificate.issuer, certificate.serial) == (issuer.whole, number):
            return Signature(certificate, _holds(content, fields, certificate, program))
    raise DerError("its signer's certificate is missing")


def _holds(content: Element, fields: list[Element], certificate: Certificate, program: bytes) -> bool:
    """Say whether the program's digest is signed: it by the message, that by the attributes, those by the key."""
    message = der.element(content.children()[1].content).expect(der.SEQUENCE)
    algorithm, digest = message.children()[1].expect(der.SEQUENCE).children()
    attributes = fields[0].expect(0xA0)
    [value] = fields[2:3]
    signed = b"\x31" + attributes.whole[1:]  # signed as the SET that they are
    return (
        der.object_id(algorithm.children()[0]) == _SHA256
        and digest.content == program
        and _attribute(attributes, _MESSAGE_DIGEST) == hashlib.sha256(message.content).digest()
        and _rsa_holds(certificate, hashlib.sha256(signed).digest(), value.expect(der.OCTET_STRING).content)
    )


def _attribute(attributes: Element, wanted: str) -> bytes | None:
    for attribute in attributes.children():
        kind, values = attribute.children()
        if der.object_id(kind) == wanted:
            return der.element(values.content).content
    return None


def _rsa_holds(certificate: Certificate, digest: bytes, signature: bytes) -> bool:
    if certificate.rsa is None:
        return False
    length = (certificate.rsa.bits + 7) // 8
    value = pow(int.from_bytes(signature, "big"), certificate.rsa.exponent, certificate.rsa.modulus)
    padding = b"\xff" * (length - 3 - len(_DIGEST_INFO) - len(digest))
    return value.to_bytes(length, "big") == b"\x00\x01" + padding + b"\x00" + _DIGEST_INFO + digest
