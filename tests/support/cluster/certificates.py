"""The certificates of a cluster or a server, and the kubeconfig files that hold them. Kept in a folder: made once."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.run import Runner

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")
"""Elliptic keys: made in milliseconds, where RSA takes half a second."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority of its own."""

    folder: Path
    own: Certificate

    @classmethod
    def at(cls, folder: Path, name: str) -> Authority:
        """Take the authority kept in a folder; make it if there is none."""
        own = Certificate(folder / "ca.crt", folder / "ca.key")
        if not own.certificate.exists():
            folder.mkdir(parents=True, exist_ok=True)
            files = ("-keyout", own.key, "-out", own.certificate)
            Runner().run(["openssl", "req", "-x509", *KEY, "-subj", f"/CN={name}", *files])
        return cls(folder, own)

    @property
    def certificate(self) -> Path:
        """The authority's own certificate, which clients trust."""
        return self.own.certificate

    def issue(self, name: str, *, subject: str, names: Sequence[str] = ()) -> Certificate:
        """Issue a certificate for servers and clients.

        Args:
            name: of its files.
            subject: as openssl writes it, for example `/O=system:masters/CN=admin`.
            names: subject alternative names, for example `IP:127.0.0.1`.
        """
        made = Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        if not made.certificate.exists():
            signed_by = ("-CA", self.own.certificate, "-CAkey", self.own.key)
            extensions = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth"]
            extensions += ["basicConstraints=critical,CA:false"]
            extensions += [f"subjectAltName={','.join(names)}"] if names else []
            added = [word for extension in extensions for word in ("-addext", extension)]
            files = ("-keyout", made.key, "-out", made.certificate)
            # An empty configuration: the system's would add extensions of an authority.
            config = ("-config", "/dev/null", "-subj", subject)
            Runner().run(["openssl", "req", "-x509", *KEY, *config, *signed_by, *added, *files])
        return made


@dataclass(frozen=True)
class Accounts:
    """The keys that service account tokens are signed with and checked by."""

    private: Path
    public: Path

    @classmethod
    def at(cls, folder: Path) -> Accounts:
        """Take the keys kept in a folder; make them if there are none."""
        keys = cls(folder / "accounts.key", folder / "accounts.pub")
        if not keys.public.exists():
            Runner().run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", keys.private])
            Runner().run(["openssl", "ec", "-in", keys.private, "-pubout", "-out", keys.public])
        return keys


def write_kubeconfig(file: Path, server: str, authority: Authority, client: Certificate, *, context: str) -> Path:
    """Write a kubeconfig with one context, complete in itself. JSON is YAML, too."""
    cluster = {"server": server, "certificate-authority-data": _base64(authority.certificate)}
    user = {"client-certificate-data": _base64(client.certificate), "client-key-data": _base64(client.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    file.write_text(json.dumps(config, indent=1))
    file.chmod(0o600)
    return file


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
