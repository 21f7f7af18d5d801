"""Keys and certificates for Secure Boot, made by openssl, as docs/secure-boot.md says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from image_composer.run import Runner
from image_composer.signing.key import SigningKey, signing_key
from image_composer.spec.certificate import Certificate, read_pem
from support.disks import say

SUBJECT = "Gate Secure Boot"


@dataclass(frozen=True)
class KeyPair:
    """A private key and its certificate, as files."""

    key: Path
    certificate: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()

    @property
    def read(self) -> Certificate:
        return read_pem(self.pem)

    def opened(self, folder: Path) -> SigningKey:
        return signing_key(self.key, self.read, folder, tools=Runner())


def make_keys(folder: Path, *options: str, kind: str = "rsa:2048", name: str = "tls") -> KeyPair:
    """Make a key and a certificate.

    Args:
        folder: where they go.
        options: further ones for openssl.
        kind: of key.
        name: of the files, before .key and .crt.
    """
    pair = KeyPair(folder / f"{name}.key", folder / f"{name}.crt")
    fixed = ("-x509", "-sha256", "-nodes", "-days", "3650", "-subj", f"/CN={SUBJECT}/O=Example")
    say("openssl", "req", *fixed, "-newkey", kind, "-keyout", pair.key, "-out", pair.certificate, *options)
    return pair
