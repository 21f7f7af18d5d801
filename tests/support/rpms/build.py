"""From trees to a signed repository: rpmbuild, rpmsign, createrepo_c."""

from __future__ import annotations

import email.parser
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from image_composer.run import Runner
from support.rpms.debian import KERNEL, Deb
from support.rpms.payload import Sorting, Tree, finish, unpack
from support.rpms.repomd import recompress
from support.rpms.signing import Signer
from support.rpms.specfile import spec_text
from support.rpms.tables import Package, Table

WORKERS = len(os.sched_getaffinity(0))

GENERATORS = ("elf", "script")
"""What rpm's own generators look into: the vendors' others have nothing to say about this payload."""

MACROS = {
    "_binary_payload": "w3.zstdio",
    "_build_id_links": "none",
    "_missing_build_ids_terminate_build": "0",
    "__os_install_post": "%{nil}",
    "debug_package": "%{nil}",
    "_buildhost": "builder.example.org",
    # Perl and Python are in nobody's minimal image; Debian has scripts of theirs beside its programs.
    "__requires_exclude": "^(/usr/bin/perl|/usr/bin/python3?|/usr/bin/env)$",
}


class Build:
    """Makes the packages of one distribution.

    Args:
        table: the distribution.
        debs: what Debian offers, by the names in the tables.
        downloads: folder with their files.
        work: empty folder for what lies about meanwhile; deleted by the caller.
        key: the armoured key of the distribution.
    """

    def __init__(
        self, table: Table, debs: Mapping[str, Deb], downloads: Path, work: Path, key: str, runner: Runner
    ) -> None:
        self._table = table
        self._kernel = debs[KERNEL].name.removeprefix("linux-image-")
        self._words = {"@key@": key, "@kernel@": self._kernel}
        self._debs = debs
        self._downloads = downloads
        self._work = work
        self._runner = runner
        self._trees: dict[str, Tree] = {}
        self._lock = threading.Lock()

    def into(self, repository: Path) -> None:
        """Make all packages, unsigned and without metadata."""
        repository.mkdir(parents=True)
        for name in GENERATORS:
            self._add(f"attributes/{name}.attr", "")
        sorting = Sorting(self._table)
        base = self._table.package("filesystem").files
        # The biggest first, which is the kernel: nobody then waits for it alone.
        names = sorted(self._table.debs, key=lambda deb: -self._file(deb).stat().st_size)
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(lambda deb: unpack(deb, self._file(deb), sorting, self._tree), names):
                pass
            for package in self._table.packages:
                finish(self._tree(package.name), base, self._words)
            weight = {package.name: len(self._tree(package.name).entries) for package in self._table.packages}
            packages = sorted(self._table.packages, key=lambda package: -weight[package.name])
            for _ in pool.map(lambda package: self._package(package, repository), packages):
                pass

    def _package(self, package: Package, repository: Path) -> None:
        tree = self._tree(package.name)
        debs = (*package.debs, *package.take)
        control = self._control(debs[0]) if debs else {}
        text = spec_text(
            package,
            control,
            tree.entries.values(),
            dist=self._table.dist,
            vendor=self._table.vendor,
            tree=tree.folder,
        )
        spec = self._add(f"specs/{package.name}.spec", text)
        top = self._work / "top" / package.name
        macros = {
            **MACROS,
            "_topdir": str(top),
            "_dbpath": str(top / "db"),
            "_rpmdir": str(repository),
            "_rpmfilename": "Packages/%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
            "_fileattrsdir": str(self._work / "attributes"),
            "uname_r": self._kernel,
        }
        words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        self._runner.run(
            ["rpmbuild", "-bb", "--quiet", "--target", "x86_64-linux", *words, spec], shown_as=f"rpmbuild {spec}"
        )
        shutil.rmtree(top)

    def _control(self, deb: str) -> Mapping[str, str]:
        said = self._runner.run(["dpkg-deb", "--field", self._file(deb)]).stdout.decode()
        return dict(email.parser.Parser().parsestr(said).items())

    def _tree(self, name: str) -> Tree:
        with self._lock:
            if name not in self._trees:
                self._trees[name] = Tree(self._table.package(name), self._work / "trees" / name)
            return self._trees[name]

    def _file(self, deb: str) -> Path:
        return self._downloads / self._debs[deb].file

    def _add(self, name: str, text: str) -> Path:
        file = self._work / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


def sign_packages(packages: Sequence[Path], signer: Signer) -> None:
    """Sign packages; in parallel, since gpg is started for each."""
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = [packages[start::WORKERS] for start in range(WORKERS)]
        for _ in pool.map(signer.sign_packages, [part for part in parts if part]):
            pass


def index(repository: Path, table: Table, signer: Signer, runner: Runner) -> None:
    """Write the metadata of a repository, signed if the vendor does so."""
    with tempfile.TemporaryDirectory(prefix="createrepo-") as scratch:
        words = ["--general-compress-type", "gz", "--no-database", "--workers", str(WORKERS), "--outputdir", scratch]
        runner.run(["createrepo_c", "--quiet", *words, repository])
        shutil.move(Path(scratch) / "repodata", repository / "repodata")
    if table.compression == "zst":
        recompress(repository / "repodata", runner)
    if table.metadata_signed:
        repomd = repository / "repodata" / "repomd.xml"
        repomd.with_suffix(".xml.asc").write_bytes(signer.detach(repomd))
        repomd.with_suffix(".xml.key").write_bytes(signer.public)
