"""What tests ask for: a distribution's repository, made once on a machine and kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from image_composer.digest import bytes_sha256, json_sha256
from image_composer.run import Runner
from support.devcache import alone, dev_cache, sweep
from support.rpms.build import Build, index, sign_packages
from support.rpms.debian import Deb, Debian
from support.rpms.signing import Signer
from support.rpms.tables import Table, read_table

Name = Literal["azurelinux", "emt"]

KEY = "KEY"
"""Name of the key's file below the archive's folder."""


@dataclass(frozen=True)
class RpmDistribution:
    """A distribution's archive in a folder. It is shared: nobody may change it."""

    name: str
    folder: Path
    """Stands for what is at the archive's base address."""

    repository: str
    """Path of the repository below it."""

    @property
    def key(self) -> Path:
        """The armoured key that signs packages, and the metadata where that is signed."""
        return self.folder / KEY

    @property
    def path(self) -> Path:
        """The repository's folder."""
        return self.folder / self.repository

    @property
    def packages(self) -> dict[str, Path]:
        """Give the packages' files by name."""
        return {file.name.rsplit("-", 2)[0]: file for file in sorted((self.path / "Packages").iterdir())}


def rpm_distribution(name: Name, cache: Path | None = None) -> RpmDistribution:
    """Give a distribution; makes it unless the same was made before on this machine.

    What is the same says a digest over the tables, this code and the packages of Debian that are on offer.

    Args:
        name: which.
        cache: folder where it is kept; the usual one when absent.
    """
    runner = Runner()
    table = read_table(name)
    cache = dev_cache("rpms") if cache is None else cache
    with alone(cache):
        debian = Debian(cache / "apt", runner)
        debian.update()
        debs = debian.offered(table.debs)
        entry = cache / f"{name}-{_digest(debs)}"
        if entry.exists():
            os.utime(entry)
        else:
            sweep(cache.glob("*-*"))
            (cache / "debs").mkdir(exist_ok=True)
            debian.fetch([*debs.values()], cache / "debs")
            _make(table, debs, cache / "debs", entry, runner)
    return RpmDistribution(name, entry, table.repository)


def _make(table: Table, debs: Mapping[str, Deb], downloads: Path, entry: Path, runner: Runner) -> None:
    # Beside the entry, so that it appears there in one step.
    with tempfile.TemporaryDirectory(prefix=f"{entry.name}.", dir=entry.parent) as work:
        archive = Path(work) / "archive"
        repository = archive / table.repository
        with Signer(table.vendor, runner) as signer:
            build = Build(table, debs, downloads, Path(work), signer.public.decode(), runner)
            build.into(repository)
            sign_packages(sorted((repository / "Packages").iterdir()), signer)
            index(repository, table, signer, runner)
            (archive / KEY).write_bytes(signer.public)
        archive.rename(entry)


def _digest(debs: Mapping[str, Deb]) -> str:
    """Give the digest of all that decides about a distribution."""
    folder = Path(__file__).parent
    sources = {
        str(file.relative_to(folder)): bytes_sha256(file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.suffix in {".py", ".yaml"}
    }
    return json_sha256([sources, {name: [deb.file, deb.digest] for name, deb in debs.items()}])[:32]
