"""Signs EFI programs for Secure Boot, with osslsigncode, the same bytes every time.

An RSA signature of this kind (PKCS #1 v1.5) has no randomness in it; what else would differ is the time of signing,
which is set.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from image_composer.disk.authenticode import program_digest, read_signatures
from image_composer.disk.pe import PeFormatError
from image_composer.disk.tools import ToolRunner
from image_composer.errors import DiskError
from image_composer.signing.key import SigningKey

ROOM = 32 * 1024
"""Bytes that a signature adds at most: it holds the certificate, which has 12 KiB at most, and little else."""


def sign_program(source: Path, destination: Path, key: SigningKey, signed_at: datetime, *, tools: ToolRunner) -> None:
    """Write a signed copy of an EFI program.

    Args:
        source: the program; if it is signed already, that signature is dropped.
        destination: file to make, replaced if there.
        key: what to sign with.
        signed_at: time that the signature says.
        tools: runs osslsigncode.

    Raises:
        DiskError: SIGN_FAILED, what came out isn't signed as it should be.
        ToolError: osslsigncode is missing or failed.
    """
    destination.unlink(missing_ok=True)  # osslsigncode replaces nothing
    options = ("-h", "sha256", "-time", str(int(signed_at.timestamp())))
    keys = ("-certs", key.certificate_file, "-key", key.file, "-pass", "")
    tools.run(["osslsigncode", "sign", *options, *keys, "-in", source, "-out", destination])
    with source.open("rb") as before, destination.open("rb") as after:
        try:
            same = program_digest(before) == program_digest(after)
            holding = [signature.signer.fingerprint for signature in read_signatures(after) if signature.holds]
        except PeFormatError as error:
            raise DiskError("SIGN_FAILED", f"{source.name} can't be signed: {error}") from error
    if not same or holding != [key.certificate.fingerprint]:
        raise DiskError("SIGN_FAILED", f"osslsigncode did not sign {source.name} as it should")
