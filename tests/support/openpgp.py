"""Keys made for a test and forgotten with it, and what they sign."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

MADE = datetime(2023, 6, 1, tzinfo=UTC)
"""When keys were made unless a test says otherwise; what they sign must be younger."""


@dataclass(frozen=True)
class Key:
    """A key pair in a `Keychain`."""

    fingerprint: str
    public: bytes
    """Certificate, armoured."""


class Keychain:
    """A GnuPG folder of its own; use it in a `with` statement."""

    def __enter__(self) -> Keychain:
        # not below pytest's folders: the path of the agent's socket has room for 107 bytes
        self._home = Path(tempfile.mkdtemp(prefix="keys-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=True, capture_output=True)
        shutil.rmtree(self._home, ignore_errors=True)  # the agent removes its sockets meanwhile

    def make(
        self,
        name: str,
        *,
        created: datetime = MADE,
        expires: str = "never",
        algorithm: str = "ed25519",
        certified_by: str = "SHA512",
    ) -> Key:
        """Make a key that may sign.

        Args:
            name: whose it is.
            created: when it was made.
            expires: how long it is valid, for example `1d`.
            algorithm: what it signs by, as GnuPG writes it.
            certified_by: digest by which it vouches for its own user.
        """
        user = f"{name} <{name}@example.org>"
        certify = ["--cert-digest-algo", certified_by]
        self._gpg(*certify, "--quick-generate-key", user, algorithm, "sign", expires, at=created)
        listed = self._gpg("--with-colons", "--list-keys", user).decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        return Key(fingerprint, self.public(fingerprint))

    def public(self, fingerprint: str, *, armoured: bool = True) -> bytes:
        """Give a certificate as it is now."""
        return self._gpg(*(["--armor"] if armoured else []), "--export", fingerprint)

    def revoke(self, key: Key) -> Key:
        """Revoke a key and give it with its new certificate; it can't sign any more."""
        made = (self._home / "openpgp-revocs.d" / f"{key.fingerprint}.rev").read_text()
        self._gpg("--import", stdin=made.replace(":-----BEGIN", "-----BEGIN").encode())
        return Key(key.fingerprint, self.public(key.fingerprint))

    @property
    def home(self) -> Path:
        """GnuPG's folder, for programs that run gpg themselves."""
        return self._home

    def clearsign(self, content: bytes, *keys: Key, at: datetime | None = None, digest: str = "SHA512") -> bytes:
        """Sign a text with one or more keys."""
        return self._gpg("--armor", *_users(keys), "--clearsign", at=at, stdin=content, digest=digest)

    def prolong(self, key: Key, expires: str, *subkeys: str, at: datetime) -> None:
        """Let a key, or its subkeys, expire later; certificates given before don't know it."""
        self._gpg("--quick-set-expire", key.fingerprint, expires, *subkeys, at=at)

    def add_subkey(self, key: Key, expires: str, *, at: datetime) -> None:
        """Add a key that signs in the place of the primary one, from now on."""
        self._gpg("--quick-add-key", key.fingerprint, "ed25519", "sign", expires, at=at)

    def attach(self, content: bytes, *keys: Key) -> bytes:
        """Give a binary message with its signature inside."""
        return self._gpg(*_users(keys), "--sign", stdin=content)

    def detach(
        self,
        content: bytes,
        *keys: Key,
        at: datetime | None = None,
        digest: str = "SHA512",
        before_the_key: bool = False,
        armoured: bool = True,
    ) -> bytes:
        """Give a signature that lies beside what it is for; GnuPG must be told to make one older than its key."""
        conflict = ["--ignore-time-conflict"] if before_the_key else []
        form = ["--armor"] if armoured else []
        return self._gpg(*form, *conflict, *_users(keys), "--detach-sign", at=at, stdin=content, digest=digest)

    def _gpg(self, *arguments: str, at: datetime | None = None, stdin: bytes = b"", digest: str = "SHA512") -> bytes:
        argv = ["gpg", "--homedir", str(self._home), "--batch", "--no-tty", "--pinentry-mode", "loopback"]
        argv += ["--passphrase", "", "--digest-algo", digest]
        if at is not None:
            argv += ["--faked-system-time", f"{at:%Y%m%dT%H%M%S}!"]
        done = subprocess.run([*argv, *arguments], check=False, capture_output=True, input=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def _users(keys: tuple[Key, ...]) -> list[str]:
    return [word for key in keys for word in ("--local-user", key.fingerprint)]
