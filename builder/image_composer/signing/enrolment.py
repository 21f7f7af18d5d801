"""Makes the files by which firmware in setup mode is given our certificate: PK, KEK and db, signed by our own key.

UEFI specification, 8.2.2 (authenticated variables) and 32.4.1 (signature lists). The same bytes as efitools make; it is
too little to ask one more program of every machine.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid5

from image_composer.disk.identity import NAMESPACE
from image_composer.disk.tools import ToolRunner
from image_composer.signing.key import SigningKey
from image_composer.spec import der
from image_composer.spec.certificate import Certificate

GLOBAL_VARIABLE = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
IMAGE_SECURITY_DATABASE = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
VARIABLES: Mapping[str, UUID] = {
    "PK": GLOBAL_VARIABLE,  # who may change KEK
    "KEK": GLOBAL_VARIABLE,  # who may change db
    "db": IMAGE_SECURITY_DATABASE,  # whose programs are started
}
"""Variables of firmware that get the certificate, by name, with their namespaces."""

X509_LIST = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
PKCS7 = UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")

_ATTRIBUTES = 0x27
"""Kept, visible to boot services and at run time, written with a signature and a time."""

_CERTIFICATE_REVISION, _CERTIFICATE_KIND = 0x0200, 0x0EF1
"""WIN_CERTIFICATE of the kind that a GUID says more about."""

ROOM = 64 * 1024
"""Bytes that each file has at most: the certificate twice, which has 12 KiB at most, and little else."""


def enrolment_file(name: str, key: SigningKey, signed_at: datetime, *, tools: ToolRunner) -> bytes:
    """Give the new content of one of the variables, as firmware and systemd-boot take it (`*.auth`).

    Args:
        name: one of `VARIABLES`.
        key: whose certificate goes in; it signs that, too.
        signed_at: time that firmware holds against a later change.
        tools: runs openssl.

    Raises:
        ToolError: openssl is missing or failed.
    """
    content = signature_list(key.certificate)
    time = struct.pack("<HBBBBBBIhBB", *signed_at.timetuple()[:6], 0, 0, 0, 0, 0)
    signed = name.encode("utf-16-le") + VARIABLES[name].bytes_le + struct.pack("<I", _ATTRIBUTES) + time + content
    blob = _detached_signature(signed, key, tools=tools)
    head = struct.pack("<IHH", 24 + len(blob), _CERTIFICATE_REVISION, _CERTIFICATE_KIND)
    return time + head + PKCS7.bytes_le + blob + content


def signature_list(certificate: Certificate) -> bytes:
    """Give a list of signatures (`*.esl`) that holds one certificate, owned by an id made of the certificate."""
    owner = uuid5(NAMESPACE, f"certificate/{certificate.fingerprint}").bytes_le
    entry = owner + certificate.der
    return X509_LIST.bytes_le + struct.pack("<III", 28 + len(entry), 0, len(entry)) + entry


def _detached_signature(content: bytes, key: SigningKey, *, tools: ToolRunner) -> bytes:
    """Sign bytes without any attribute, so that it says no time, and give the SignedData by itself (PKCS #7)."""
    keys = ("-signer", key.certificate_file, "-inkey", key.file, "-passin", "pass:")
    options = ("-binary", "-noattr", "-md", "sha256", "-outform", "DER")
    done = tools.run(["openssl", "smime", "-sign", *options, *keys], stdin=content)
    outer = der.element(done.stdout).expect(der.SEQUENCE).children()
    return der.element(outer[1].content).whole  # older firmware doesn't know the wrapping that says what it is
