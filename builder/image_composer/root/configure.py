"""From a root with its packages to one that is as the document says: settings, accounts, units, files, scripts."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.errors import AssemblyError, ToolError
from image_composer.manifest import Manifest
from image_composer.report import Reporter
from image_composer.root import accounts, operations
from image_composer.root.customise.all import document_changes, looked_for, read
from image_composer.root.customise.changes import Changes, Root
from image_composer.root.customise.trees import tree_changes
from image_composer.root.operations import Operation
from image_composer.root.sandbox import BARE_EXCHANGE, Sandbox
from image_composer.root.scripts import run_scripts
from image_composer.root.trees import Entry
from image_composer.spec.image import ImageSpec
from image_composer.spec.scripts import Hook
from image_composer.spec.software import Artifact

ARTIFACT = "artifact"
"""Name of a large file in the exchange folder."""

OFFLINE = {"SYSTEMD_OFFLINE": "1"}
"""Tells systemctl that it changes a root and no running system."""


@dataclass(frozen=True, slots=True)
class Configurer:
    """Carries out a document in one root."""

    sandbox: Sandbox
    spec: ImageSpec
    manifest: Manifest
    installed: frozenset[str]
    """Names of the packages."""

    epoch: int
    given: Mapping[str, bytes]
    """Content that the document takes from elsewhere, by the path of its field: `files[3]`, `scripts[0]`."""

    trees: Sequence[Sequence[Entry]]
    """What the document's trees hold, in their order."""

    artifacts: Sequence[Path]
    """Files of the document's artifacts, in their order."""

    reporter: Reporter

    def configure(self, system: Sequence[Operation]) -> None:
        """Carry out the document.

        Args:
            system: what the disk's layout wants written.

        Raises:
            AssemblyError: the document can't be carried out in this root.
            SandboxError: there can be no sandbox.
            ToolError: a program failed.
        """
        self.run_hook(Hook.AFTER_PACKAGES)
        users = accounts.account_operations(
            self.spec.users,
            read_texts(self.sandbox, accounts.FILES),
            self.epoch,
            self.manifest.accounts.shadow_gid,
            groups=self.spec.groups,
        )
        self._apply([*default_files(self.manifest, self.installed), *system, *users])
        own = tuple(unit.name for unit in self.manifest.units if unit.applies(self.installed))
        self._carry_out(Changes(enable=own))
        files = {int(path[6:-1]): content for path, content in self.given.items() if path.startswith("files[")}
        self._plant()
        root = self._root()
        self._carry_out(document_changes(self.spec, files, root))
        for number, artifact in enumerate(self.spec.artifacts):
            self._bring(artifact, self.artifacts[number], root)
        self.run_hook(Hook.AFTER_CONFIGURATION)

    def run_hook(self, hook: Hook) -> None:
        """Run the document's scripts of one hook.

        Raises:
            AssemblyError: one failed.
        """
        run_scripts(self.sandbox, self.spec, hook, self.given, self.reporter)

    def _plant(self) -> None:
        """Write the document's trees, first of all that it says."""
        if not self.spec.trees:
            return
        root = self._root()
        for tree, entries in zip(self.spec.trees, self.trees, strict=True):
            self.reporter.info(f"writing {tree.name} to {tree.path}")
            for batch in tree_changes(tree, entries, root):
                self._apply(batch)

    def _root(self) -> Root:
        users, groups = accounts.ids_by_name(read_texts(self.sandbox, accounts.FILES))
        found = self.sandbox.act("match", patterns=looked_for(self.spec))["paths"]
        present = frozenset(path for path, matches in found.items() if matches)
        contents = self.sandbox.act("read", paths=read(self.spec))["contents"]
        texts = {path: _text(content) for path, content in contents.items() if content is not None}
        return Root(self.installed, self.manifest.family, users, groups, present, texts)

    def _carry_out(self, changes: Changes) -> None:
        """Write what is to be written, and let the root's own programs do the rest."""
        self._apply(changes.operations)
        for command in changes.commands:
            self.sandbox.run(command)
        for verb, units in (("enable", changes.enable), ("disable", changes.disable), ("mask", changes.mask)):
            if units:
                self._systemctl(verb, units)

    def _bring(self, artifact: Artifact, file: Path, root: Root) -> None:
        """Copy a large file into the root, by way of the folder that both sides see."""
        uid, gid = root.owner(artifact.path, artifact.owner, artifact.group)
        self.reporter.info(f"copying {artifact.path}")
        place = self.sandbox.workspace / "exchange" / ARTIFACT
        place.unlink(missing_ok=True)
        with file.open("rb") as reader, place.open("xb") as writer:  # never through a link that a program left there
            shutil.copyfileobj(reader, writer)
        place.chmod(0o644)
        source = f"{BARE_EXCHANGE}/{ARTIFACT}"
        operation = operations.copy(artifact.path, source, mode=int(artifact.mode, 8), uid=uid, gid=gid)
        self.sandbox.act("apply", exchange=True, operations=[operation])
        place.unlink()

    def _systemctl(self, verb: str, units: Sequence[str]) -> None:
        try:
            self.sandbox.run(["systemctl", "--quiet", verb, "--", *units], env=OFFLINE)
        except ToolError as error:
            if error.code != "TOOL_FAILED":
                raise
            raise AssemblyError(
                "ASSEMBLE_UNITS",
                f"systemctl can't {verb} {', '.join(units)}: {error.message.splitlines()[-1]}",
                hint="a unit comes with a package, or stands in systemd.units",
            ) from error

    def _apply(self, wanted: Sequence[Operation]) -> None:
        if wanted:
            self.sandbox.act("apply", operations=list(wanted))


def read_texts(sandbox: Sandbox, paths: Iterable[str]) -> dict[str, str]:
    """Give the texts of files of the root by path; those that are absent are empty."""
    contents = sandbox.act("read", paths=list(paths))["contents"]
    return {
        path: base64.b64decode(content or "").decode(errors="surrogateescape") for path, content in contents.items()
    }


def default_files(manifest: Manifest, installed: frozenset[str]) -> list[Operation]:
    """Say what the distribution's default files are, as far as their packages are there."""
    return [
        operations.write(file.path, file.content, mode=int(file.mode, 8))
        for file in manifest.files
        if file.applies(installed)
    ]


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="surrogateescape")
