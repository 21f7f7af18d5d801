"""Debian 12's packages, fetched by apt with folders of its own from the mirror that this machine uses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.run import Runner
from support.aptroot import CONFIGURATION
from support.hostmirror import KEYRING, mirrors

SUITES = {"debian": "bookworm", "debian-security": "bookworm-security"}

KERNEL = "linux-image-cloud-amd64"
"""Depends on the kernel for virtual machines, whose own name has its version in it; it starts faster than the other."""

OFFERED = re.compile(r"^'[^']+' (?P<file>(?P<name>[^_\s]+)_\S+) \d+ (?P<digest>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Deb:
    """A package as the mirror offers it."""

    name: str
    file: str
    """Name of its file as apt keeps it; has the version."""

    digest: str


class Debian:
    """An apt that knows Debian 12 and nothing of this machine's packages.

    Args:
        root: its folder; kept between runs, so that only what changed is fetched.
    """

    def __init__(self, root: Path, runner: Runner) -> None:
        self._runner = runner
        self._configuration = root / "apt.conf"
        for folder in ("etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        found = mirrors(os.environ)
        assert "debian" in found, "no mirror of Debian is known: set IMAGE_COMPOSER_MIRROR_DEBIAN"
        lines = [
            f"deb [signed-by={KEYRING}] {found[archive]} {suite} main\n"
            for archive, suite in SUITES.items()
            if archive in found
        ]
        (root / "etc" / "sources.list").write_text("".join(lines))
        self._configuration.write_text(CONFIGURATION.format(root=root))

    def update(self) -> None:
        """Fetch the indexes, as far as they changed."""
        self._apt("apt-get", "update", "--error-on=any")

    def offered(self, names: Iterable[str]) -> dict[str, Deb]:
        """Give what the mirror has of these packages, by the names that were asked for."""
        names = [*names]
        real = {name: self._kernel() if name == KERNEL else name for name in names}
        said = self._apt("apt-get", "download", "--print-uris", *real.values())
        found = {match["name"]: Deb(match["name"], match["file"], match["digest"]) for match in OFFERED.finditer(said)}
        return {name: found[real[name]] for name in names}

    def fetch(self, debs: Sequence[Deb], folder: Path) -> None:
        """Put packages into a folder; apt checks signatures and digests."""
        missing = [deb.name for deb in debs if not (folder / deb.file).exists()]
        if missing:
            self._apt("apt-get", "download", *missing, folder=folder)

    def _kernel(self) -> str:
        said = self._apt("apt-cache", "depends", "--important", KERNEL)
        return next(line.split()[1] for line in said.splitlines() if "Depends: linux-image-" in line)

    def _apt(self, program: str, *arguments: str, folder: Path | None = None) -> str:
        words = [program, "--quiet=2", *arguments]
        return self._runner.run(words, cwd=folder, env={"APT_CONFIG": str(self._configuration)}).stdout.decode()
