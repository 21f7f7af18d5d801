"""The private key that images are signed with: a file, never its content, which nothing of ours reads twice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from image_composer.disk.tools import ToolRunner
from image_composer.errors import SigningError, ToolError
from image_composer.spec.certificate import Certificate

LARGEST_KEY = 64 * 1024
"""Bytes; an RSA key of 4096 bits has 3 KiB."""

KINDS = r"(RSA )?PRIVATE KEY"
"""What PEM calls keys that can be signed with: PKCS #8 and PKCS #1."""

HINT = "give the file of an unencrypted RSA key in PEM; docs/secure-boot.md shows how one is made"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that belongs to its certificate."""

    file: Path
    """The private key, in PEM."""

    certificate: Certificate
    certificate_file: Path
    """The same, in PEM, for programs."""


def signing_key(file: Path, certificate: Certificate, folder: Path, *, tools: ToolRunner) -> SigningKey:
    """Give the key of a certificate, once it is known to be that.

    Args:
        file: the private key.
        certificate: what signatures will be checked against.
        folder: where programs find the certificate.
        tools: runs openssl.

    Raises:
        SigningError, ToolError: see `check_key`.
    """
    check_key(file, certificate, tools=tools)
    written = folder / "certificate.pem"
    written.write_text(certificate.pem)
    return SigningKey(file, certificate, written)


def check_key(file: Path, certificate: Certificate, *, tools: ToolRunner) -> None:
    """See whether a key is that of a certificate.

    Args:
        file: the private key.
        certificate: what signatures will be checked against.
        tools: runs openssl.

    Raises:
        SigningError: SIGN_KEY_UNREADABLE, SIGN_KEY_INVALID, SIGN_KEY_ENCRYPTED or SIGN_KEY_MISMATCH; no message
            repeats anything of the file's content.
        ToolError: openssl is missing.
    """
    _check_form(file)
    # A passphrase is given, though none is needed, or openssl would ask for one at the terminal.
    options = ("-passin", "pass:", "-pubout", "-outform", "DER")
    try:
        public = tools.run(["openssl", "pkey", "-in", file, *options]).stdout
    except ToolError as error:
        if error.code != "TOOL_FAILED":
            raise
        raise SigningError("SIGN_KEY_INVALID", f"{file} is damaged, or no private key", hint=HINT) from None
    if public != certificate.public_key:
        raise SigningError(
            "SIGN_KEY_MISMATCH",
            f"the private key in {file} is not that of the certificate {certificate.subject}"
            f" (SHA-256 {certificate.fingerprint})",
            hint="give the key that the certificate was made with, or put the key's own certificate into the document",
        )


def _check_form(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            text = stream.read(LARGEST_KEY).decode("ascii", "replace")
    except OSError as error:
        message = f"the private key {file} can't be read: {error.strerror}"
        raise SigningError("SIGN_KEY_UNREADABLE", message, hint=HINT) from error
    found = re.search(r"-----BEGIN ([A-Z0-9 ]{1,40})-----", text)
    if found is None:
        raise SigningError("SIGN_KEY_INVALID", f"{file} is no private key in PEM", hint=HINT)
    if found[1] == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in text:
        raise SigningError(
            "SIGN_KEY_ENCRYPTED",
            f"the private key {file} is encrypted, and nobody is there to type its passphrase",
            hint=f"decrypt it where only the build sees it: openssl pkey -in {file.name} -out plain.key",
        )
    if re.fullmatch(KINDS, found[1]) is None:
        raise SigningError("SIGN_KEY_INVALID", f"{file} holds a {found[1]}, not an RSA private key", hint=HINT)


def no_key(path: str) -> SigningError:
    """Give the error of a build that has no key.

    Args:
        path: of what needs it, in the user's document.
    """
    return SigningError(
        "SIGN_KEY_MISSING",
        f"{path} needs the private key of its certificate, and none was given",
        hint="give its file: --secure-boot-key FILE, or IMAGE_COMPOSER_SECURE_BOOT_KEY",
    )
