"""The key of a distribution. Vendors sign with RSA, so this does too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from image_composer.run import Runner


class Signer:
    """A key that is made, signs and is forgotten; use it in a `with` statement."""

    def __init__(self, name: str, runner: Runner) -> None:
        self._user = f"{name} <{name.lower().replace(' ', '-')}@example.org>"
        self._runner = runner

    def __enter__(self) -> Signer:
        # not below a deep folder: the path of the agent's socket has room for 107 bytes
        self._home = Path(tempfile.mkdtemp(prefix="keys-"))
        self._gpg("--quick-generate-key", self._user, "rsa3072", "sign", "never")
        self.public = self._gpg("--armor", "--export", self._user)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(["gpgconf", "--homedir", self._home, "--kill", "all"])
        shutil.rmtree(self._home, ignore_errors=True)  # the agent removes its sockets meanwhile

    def detach(self, file: Path) -> bytes:
        """Give an armoured signature that lies beside a file."""
        return self._gpg("--armor", "--local-user", self._user, "--detach-sign", "--output", "-", str(file))

    def sign_packages(self, packages: Sequence[Path]) -> None:
        """Sign packages in place."""
        macros = {
            "__gpg": "/usr/bin/gpg",  # Debian's rpm looks for gpg2
            "_gpg_name": self._user,
            "_gpg_path": str(self._home),
            "_gpg_digest_algo": "sha512",
        }
        words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        self._runner.run(["rpmsign", *words, "--addsign", *packages], shown_as="rpmsign --addsign ...")

    def _gpg(self, *arguments: str) -> bytes:
        words = ["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--digest-algo", "SHA512"]
        return self._runner.run(["gpg", "--homedir", self._home, *words, *arguments]).stdout
