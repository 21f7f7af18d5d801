"""The lowest layer: Debian packages resolved, verified and installed as for any image, without a kernel."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from containers.layer import Layer, write_layer
from containers.recipes import RELEASE, UNPRIVILEGED, Recipe
from containers.shrink import shrink
from image_composer.cli.memory import use_memory
from image_composer.cli.session import Session, new_build
from image_composer.cli.workspaces import opened_workspace
from image_composer.manifest import ArchitectureFacts, Manifest
from image_composer.provider import Provider, find_manifest, load_providers
from image_composer.repository.lock import Lock
from image_composer.repository.query import PackageQuery
from image_composer.repository.resolve import resolve
from image_composer.repository.sources import RepositorySource
from image_composer.root import accounts, operations
from image_composer.root.install_deb import DebInstaller
from image_composer.root.operations import Operation
from image_composer.root.sandbox import Sandbox
from image_composer.root.system import final_operations
from image_composer.spec.image import Architecture, ImageSpec, Target
from image_composer.steps.assemble import sandbox
from image_composer.steps.build import Build
from image_composer.steps.fetch import fetch_packages
from image_composer.steps.resolve import mirror_urls, repository_sources, request_digest
from image_composer.workspace import FetchedPackages, NormalisedSpec, Workspace

STRIPPED = (
    "/usr/share/doc/*/[!c]*", "/usr/share/doc/*/c[!o]*",  # not the copyright files, which must come along
    "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*", "/usr/share/bug/*",
    "/usr/share/doc-base/*", "/usr/share/pixmaps/*", "/usr/share/bash-completion/*",
    "/var/cache/debconf/*", "/var/log/*.log", "/usr/share/debconf/*",
)  # fmt: skip
"""What nobody looks for in a container."""

ACCOUNT = {
    accounts.PASSWD: f"image-composer:x:{UNPRIVILEGED}:{UNPRIVILEGED}::/nonexistent:/usr/sbin/nologin\n",
    accounts.GROUP: f"image-composer:x:{UNPRIVILEGED}:\n",
}
"""The unprivileged user, so that it has a name."""


@dataclass(frozen=True, slots=True)
class DebianLayer:
    """The Debian packages of one image."""

    session: Session
    recipe: Recipe
    architecture: Architecture

    @property
    def facts(self) -> ArchitectureFacts:
        """How Debian names the architecture."""
        return self._target()[2]

    def _target(self) -> tuple[Provider, Manifest, ArchitectureFacts]:
        return find_manifest(load_providers(), self._spec(), "target")

    def _spec(self) -> ImageSpec:
        target = Target(distribution="debian", release=RELEASE, architecture=self.architecture)
        return ImageSpec(name=self.recipe.name, version="0", target=target)

    def sources(self) -> list[RepositorySource]:
        """Give the repositories, at the mirrors that this machine uses."""
        build, spec = self._build(Path()), self._spec()
        provider, manifest, facts = self._target()
        mirrors = mirror_urls(build.settings, provider, spec, build.host_os_release, build.host_sources)
        return repository_sources(spec, provider, manifest, facts, mirrors=mirrors, keys=build.settings.keys)

    def lock(self) -> Lock:
        """Find the packages.

        Raises:
            RepositoryError, SolverError: see `resolve`.
        """
        build, query = self._build(Path()), PackageQuery(names=self.recipe.packages)
        return resolve(
            self._spec().target,
            self.sources(),
            query,
            request_digest(self._spec(), self._target()[1], query),
            store=build.store,
            downloader=build.downloader,
            runner=build.runner,
            reporter=build.reporter,
            now=build.started_at,
        )

    def _build(self, folder: Path) -> Build:
        return new_build(self.session, Workspace(folder))

    def write(self, lock: Lock, path: Path) -> Layer:
        """Install the packages of a lock and write the root as a layer.

        Raises:
            RepositoryError: a package can't be had.
            AssemblyError, SandboxError, ToolError: it can't be installed.
        """
        with opened_workspace(None, self.session.settings.cache_dir) as workspace:
            build = self._build(workspace.folder)
            workspace.write(workspace.spec, NormalisedSpec(path="", image=self._spec()))
            workspace.write(workspace.lock, lock)
            fetch_packages(build)
            fetched = workspace.read(workspace.fetched, FetchedPackages)
            use_memory(workspace, lock, self.session.reporter)
            box = sandbox(build, fetched.newest)
            box.prepare("root", "exchange", "layer")
            files = {name: workspace.packages / file for name, file in fetched.files.items()}
            DebInstaller(box, lock, files, self.session.settings.jobs, self.session.reporter).install()
            box.act("apply", operations=[*self._accounts(box, fetched.newest), *final_operations(), *stripping()])
            if self.recipe.remainder is not None:
                shrink(box, lock.packages, self.recipe.remainder)
            comment = f"Debian {RELEASE}: {', '.join(p.name for p in lock.packages if p.requested)}"
            written = write_layer(
                workspace.root,
                workspace.folder / "layer" / "layer.tar",
                epoch=fetched.newest,
                comment=comment,
                tools=box.tools(),
                as_it_is=True,
            )
            shutil.copyfile(written.path, path)
            return replace(written, path=path)

    def _accounts(self, box: Sandbox, epoch: int) -> list[Operation]:
        """Say what to write so that the unprivileged user has a name, and that no account knows today's date."""
        contents: Mapping[str, str | None] = box.act("read", paths=list(accounts.FILES))["contents"]
        texts = {path: base64.b64decode(content or "").decode() for path, content in contents.items()}
        extended = {path: text + ACCOUNT.get(path, "") for path, text in texts.items()}
        return accounts.account_operations((), extended, epoch, self._target()[1].accounts.shadow_gid)


def stripping() -> list[Operation]:
    """Say what to take away beyond what no image has."""
    return [operations.remove(pattern) for pattern in STRIPPED]
