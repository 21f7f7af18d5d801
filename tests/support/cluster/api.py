"""Talking to an API server: whether it is ready, and kubectl."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from image_composer.run import Completed, Runner

from .certificates import Authority, Certificate
from .processes import eventually

ESTABLISHED_SECONDS = 60
"""How long a definition may take to be established; a second is usual."""

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
        return self.run(*args, input=input).stdout.decode()

    def run(
        self,
        *args: str | Path,
        input: str | bytes | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
    ) -> Completed:
        """Run kubectl and give all that it left, be it a failure when `check` is off."""
        stdin = input.encode() if isinstance(input, str) else input
        words = [self.program, "--kubeconfig", self.kubeconfig, *args]
        # It keeps what it learns of an API server in its home.
        home = {"HOME": str(self.kubeconfig.parent)}
        return Runner().run(words, stdin=stdin, env=home, check=check, timeout=KUBECTL_SECONDS)


def wait_until_established(kubectl: Callable[..., str], definition: str) -> None:
    """Wait until a CustomResourceDefinition is established: `kubectl wait` fails on one that was made just now."""
    established = 'jsonpath={.status.conditions[?(@.type=="Established")].status}'

    def is_established() -> bool:
        return kubectl("get", f"crd/{definition}", "-o", established) == "True"

    eventually(is_established, f"{definition} is established", seconds=ESTABLISHED_SECONDS)
