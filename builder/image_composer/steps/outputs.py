"""The files that the disk is delivered as. Made by `attest`, since signatures come onto the disk there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from image_composer.disk.immutable import hash_label
from image_composer.formats.base import Stamp
from image_composer.formats.iso.medium import InstallerParts
from image_composer.formats.naming import output_name
from image_composer.formats.outputs import Wanted, Workshop, write_outputs
from image_composer.root.installer import NAME as ARCHIVE
from image_composer.spec.disk import PartitionType
from image_composer.spec.outputs import OutputFormat
from image_composer.steps.boot_loader import own_arguments
from image_composer.steps.build import Build
from image_composer.steps.secure_boot import program_signer
from image_composer.workspace import AssembledRoot, FinishedDisk, FinishedImages


def deliver(build: Build, assembled: AssembledRoot) -> list[str]:
    """Make all outputs; give their files' names, in the order of the spec.

    Raises:
        DiskError, ToolError: one can't be made.
    """
    workspace, spec = build.workspace, build.spec.image
    workspace.images.mkdir(exist_ok=True)
    parts = disk_parts(build)
    names = {
        output_name(spec, output, parts[output.format].uuid if output.format in parts else None): output
        for output in spec.outputs
    }
    build.reporter.info(f"writing {', '.join(names)}")
    scratch = workspace.images.with_name("outputs")
    stamp, installer = Stamp(build.identity, assembled.epoch), installer_parts(build, assembled)
    workshop = Workshop(stamp, build.runner, scratch, build.settings.jobs, installer)
    wanted = [Wanted(output, workspace.images / name) for name, output in names.items()]
    write_outputs(workspace.disk, wanted, workshop, {name: part.file for name, part in parts.items()})
    workspace.write(workspace.finished, FinishedImages(files=list(names)))
    return list(names)


@dataclass(frozen=True, slots=True)
class DiskPart:
    """A part of the disk that can be delivered alone."""

    file: Path
    uuid: UUID | None = None
    """PARTUUID, of a partition."""


def disk_parts(build: Build) -> dict[OutputFormat, DiskPart]:
    """Give the parts by the format that they are delivered as."""
    workspace = build.workspace
    uuids = workspace.read(workspace.finished_disk, FinishedDisk).uuids
    root = next(partition.label for partition in build.partitions if partition.type is PartitionType.ROOT)
    labels = {OutputFormat.ROOT: root, OutputFormat.ROOT_VERITY: hash_label(root)}
    partitions = {
        name: DiskPart(workspace.part(label), uuids[label]) for name, label in labels.items() if label in uuids
    }
    return {OutputFormat.UKI: DiskPart(workspace.bootable(workspace.uki.name)), **partitions}


def installer_parts(build: Build, assembled: AssembledRoot) -> InstallerParts | None:
    """Give what an installer is made of; None when none is asked for."""
    spec = build.spec.image
    if not spec.has_installer:
        return None
    last = build.partitions[-1]
    return InstallerParts(
        boot=build.workspace.boot,
        archive=ARCHIVE,
        kernel_release=assembled.kernel_version,
        own_arguments=own_arguments(build),
        settings=spec.installer,
        title=f"{spec.name}-{spec.version}",
        grow=len(build.partitions) if last.grow else None,
        sign=program_signer(build, assembled),
    )
