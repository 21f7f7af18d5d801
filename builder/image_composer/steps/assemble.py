"""assemble: packages and settings become `root/`, in the sandbox; the files that start it go to `boot/`."""

from __future__ import annotations

import os

from image_composer.root.assemble import Assembler
from image_composer.root.foreign import this_machine
from image_composer.root.idmap import choose_ids, read_id_files
from image_composer.root.sandbox import Sandbox
from image_composer.steps.architecture import able_sandbox
from image_composer.steps.boot_loader import kernel_command_line
from image_composer.steps.build import Build
from image_composer.steps.inputs import artifact_files, given_content
from image_composer.steps.trees import tree_entries
from image_composer.workspace import AssembledRoot, FetchedPackages, TreeSize


def sandbox(build: Build, epoch: int) -> Sandbox:
    """Give the sandbox over the build's workspace."""
    ids = choose_ids(os.geteuid(), os.getegid(), read_id_files())
    return Sandbox(build.workspace.folder, build.runner, ids, {"SOURCE_DATE_EPOCH": str(epoch)})


def assemble_root(build: Build) -> None:
    """Assemble the root.

    Raises:
        AssemblyError, SandboxError, ToolError: see `Assembler.assemble`.
    """
    workspace = build.workspace
    fetched = workspace.read(workspace.fetched, FetchedPackages)
    epoch = build.spec.image.source_date_epoch or fetched.newest
    given = given_content(build)
    assembler = Assembler(
        sandbox=able_sandbox(sandbox(build, epoch), build.spec.image.target.architecture, this_machine()),
        spec=build.spec.image,
        manifest=build.manifest,
        lock=build.lock,
        files={name: workspace.packages / file for name, file in fetched.files.items()},
        partitions=build.partitions,
        identity=build.identity,
        command_line=kernel_command_line(build),
        epoch=epoch,
        jobs=build.settings.jobs,
        reporter=build.reporter,
        given=given,
        trees=tree_entries(build, given),
        artifacts=artifact_files(build),
    )
    assembled = assembler.assemble(workspace.boot)
    trees = {label: TreeSize(**tree) for label, tree in assembled.trees.items()}
    result = AssembledRoot(
        kernel_version=assembled.kernel_version, epoch=epoch, trees=trees, selinux_labels=dict(assembled.labels)
    )
    workspace.write(workspace.assembled, result)
    build.reporter.conclude(f"kernel {assembled.kernel_version}")
