"""Talking to an API server: whether it is ready, and kubectl."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from image_composer.run import Runner

from .certificates import Authority, Certificate

KUBECTL_SECONDS = 120
"""How long one call of kubectl may take: a `kubectl wait` of a test included."""


def is_ready(server: str, authority: Authority, client: Certificate) -> bool:
    """Say whether an API server has finished starting."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(client.certificate, client.key)
    try:
        with urllib.request.urlopen(f"{server}/readyz", context=context, timeout=2) as answer:
            return bool(answer.read() == b"ok")
    except OSError:  # refused, timed out, or 500 while something is still starting
        return False


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one cluster."""

    program: Path
    kubeconfig: Path

    def __call__(self, *args: str | Path, input: str | bytes | None = None) -> str:  # noqa: A002 - as in subprocess
        """Run kubectl and give what it printed.

        Raises:
            ToolError: it failed; the error says what it said.
        """
        stdin = input.encode() if isinstance(input, str) else input
        words = [self.program, "--kubeconfig", self.kubeconfig, *args]
        # It keeps what it learns of an API server in its home.
        done = Runner().run(words, stdin=stdin, env={"HOME": str(self.kubeconfig.parent)}, timeout=KUBECTL_SECONDS)
        return done.stdout.decode()
