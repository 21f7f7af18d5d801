"""Reads X.509 certificates (RFC 5280): what a Secure Boot certificate must be, and what people want to know of one."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from image_composer.spec import der
from image_composer.spec.der import DerError, Element

MINIMUM_RSA_BITS, MAXIMUM_RSA_BITS = 2048, 4096
"""What firmware takes: UEFI asks for 2048 bits, and few machines take more than 4096."""

PEM = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----\s+(?P<encoded>[A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----\s*", re.ASCII
)

RSA = "1.2.840.113549.1.1.1"
KEY_USAGE = "2.5.29.15"
_DIGITAL_SIGNATURE = 0x80
"""The first bit of the extension keyUsage."""

NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "emailAddress",
}
"""Parts of a subject by their usual short names."""

_NULL = b"\x05\0"
"""Parameters of an RSA key: none."""


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A public key."""

    modulus: int
    exponent: int

    @property
    def bits(self) -> int:
        """Its length."""
        return self.modulus.bit_length()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate."""

    der: bytes
    subject: str
    """In the order of the certificate, for example `CN=Edge Secure Boot, O=Example`."""

    issuer: bytes
    """Name of who issued it, in DER."""

    serial: int
    not_before: datetime
    not_after: datetime
    public_key: bytes
    """SubjectPublicKeyInfo, as `openssl pkey -pubout -outform DER` writes it."""

    rsa: RsaKey | None
    """Its RSA key; None for keys of another kind."""

    signs: bool
    """Whether it is for digital signatures: its extension keyUsage says so, or it has none."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def pem(self) -> str:
        """The certificate as text."""
        encoded = base64.b64encode(self.der).decode()
        lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
        return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def check_signing_certificate(text: str) -> str:
    """Give a certificate's text back when firmware can check signatures against it.

    Raises:
        ValueError: with the sentence for the user.
    """
    if "PRIVATE KEY" in text:
        raise ValueError("holds a private key, which must never stand in a document; give the certificate alone")
    certificate = read_pem(text)
    if certificate.rsa is None:
        raise ValueError("has a key that is not RSA; firmware checks no other signatures")
    if not MINIMUM_RSA_BITS <= certificate.rsa.bits <= MAXIMUM_RSA_BITS:
        bits = f"has an RSA key of {certificate.rsa.bits} bits"
        raise ValueError(f"{bits}; firmware takes {MINIMUM_RSA_BITS} to {MAXIMUM_RSA_BITS}")
    if not certificate.signs:
        raise ValueError("is not for signing: its extension keyUsage lacks digitalSignature")
    return text


def read_pem(text: str) -> Certificate:
    """Read the one certificate that a text holds.

    Raises:
        ValueError: with the sentence for the user.
    """
    found = PEM.fullmatch(text)
    if found is None:
        raise ValueError("must be one certificate in PEM, between BEGIN CERTIFICATE and END CERTIFICATE")
    try:
        content = base64.b64decode("".join(found["encoded"].split()), validate=True)
    except ValueError:
        raise ValueError("is damaged: what the certificate is made of is not valid base64") from None
    try:
        return read_certificate(content)
    except DerError as error:
        raise ValueError(f"is damaged, or no X.509 certificate: {error}") from None


def read_certificate(content: bytes) -> Certificate:
    """Read a certificate in DER.

    Raises:
        DerError: it is none.
    """
    parts = der.element(content).expect(der.SEQUENCE).children()
    if len(parts) != 3:
        raise DerError("a certificate of other than three parts")
    fields = parts[0].expect(der.SEQUENCE).children()
    if fields and fields[0].tag == 0xA0:  # the version, absent in the first
        fields = fields[1:]
    if len(fields) < 6:
        raise DerError("a certificate that lacks fields")
    serial, _, issuer, validity, subject, key, *rest = fields
    times = validity.expect(der.SEQUENCE).children()
    if len(times) != 2:
        raise DerError("a validity of other than two times")
    return Certificate(
        der=content,
        subject=_name(subject),
        issuer=issuer.whole,
        serial=int.from_bytes(serial.expect(der.INTEGER).content, "big", signed=True),
        not_before=_time(times[0]),
        not_after=_time(times[1]),
        public_key=key.whole,
        rsa=_rsa(key),
        signs=_signs(rest),
    )


def _name(name: Element) -> str:
    """Give a distinguished name as people read it."""
    pairs = [pair for part in name.expect(der.SEQUENCE).children() for pair in part.expect(der.SET).children()]
    return ", ".join(_pair(pair) for pair in pairs)


def _pair(pair: Element) -> str:
    found = pair.expect(der.SEQUENCE).children()
    if len(found) != 2:
        raise DerError("a name's part of other than two values")
    kind, value = der.object_id(found[0]), found[1]
    text = value.content.decode("utf-16-be" if value.tag == der.BMP_STRING else "utf-8", "replace")
    return f"{NAMES.get(kind, kind)}={text}"


def _time(value: Element) -> datetime:
    form = {der.UTC_TIME: "%y%m%d%H%M%SZ", der.GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(value.tag)
    text = value.content.decode("ascii", "replace")
    if form is None:
        raise DerError("a time of no known kind")
    if value.tag == der.UTC_TIME:  # two digits of the year: RFC 5280 has 50 to 99 mean the last century
        form, text = "%Y%m%d%H%M%SZ", ("20" if text < "50" else "19") + text
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise DerError(f"a time that is none: {text!r}") from None


def _rsa(key: Element) -> RsaKey | None:
    parts = key.expect(der.SEQUENCE).children()
    if len(parts) != 2 or not (algorithm := parts[0].expect(der.SEQUENCE).children()):
        raise DerError("a public key of other than two parts")
    if der.object_id(algorithm[0]) != RSA:
        return None
    # One key has one form (RFC 8017, A.1): what may differ unread would make one key look like two.
    bits = parts[1].expect(der.BIT_STRING).content
    if [parameter.whole for parameter in algorithm[1:]] != [_NULL] or bits[:1] != b"\0":
        raise DerError("an RSA key with parameters, or of no whole bytes")
    numbers = der.element(bits[1:]).expect(der.SEQUENCE).children()
    if len(numbers) != 2:
        raise DerError("an RSA key of other than two numbers")
    modulus, exponent = (int.from_bytes(number.expect(der.INTEGER).content, "big") for number in numbers)
    return RsaKey(modulus, exponent)


def _signs(rest: list[Element]) -> bool:
    for listed in rest:
        if listed.tag != 0xA3:  # the extensions
            continue
        for extension in der.element(listed.content).children():
            parts = extension.children()
            if len(parts) >= 2 and der.object_id(parts[0]) == KEY_USAGE:
                bits = der.element(parts[-1].expect(der.OCTET_STRING).content).expect(der.BIT_STRING).content
                return len(bits) > 1 and bool(bits[1] & _DIGITAL_SIGNATURE)
    return True
