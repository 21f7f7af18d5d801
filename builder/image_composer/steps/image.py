"""image: `root/` and `boot/` become partitions, and these the disk."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from image_composer.disk import ext4, ext4_size
from image_composer.disk.assemble import write_disk
from image_composer.disk.esp import EspFile, FatParameters, make_fat
from image_composer.disk.esp import size_needed as fat_size_needed
from image_composer.disk.immutable import EMPTY, sized_slots, slot_names
from image_composer.disk.labels import labels_by_partition
from image_composer.disk.layout import DiskLayout, PlannedPartition, plan
from image_composer.disk.swap import make_swap
from image_composer.disk.tools import ToolRunner
from image_composer.disk.unmade import make_unmade
from image_composer.root.assemble import tree_folder
from image_composer.spec.base import format_size, parse_size
from image_composer.spec.disk import Filesystem, PartitionType
from image_composer.steps import boot_loader, secure_boot
from image_composer.steps.assemble import sandbox
from image_composer.steps.build import Build
from image_composer.steps.verity_root import VerityRoot, make_verity_root
from image_composer.workspace import AssembledRoot, FinishedDisk, PlannedEsp, TreeSize

SHARED = 0o666
"""Mode of the disk: `attest` is another user in a pod, writes signatures into it and links outputs to it."""


def make_disk(build: Build) -> None:
    """Make the disk.

    Raises:
        DiskTooSmallError: the content does not fit.
        DiskError, ToolError: something can't be made.
    """
    workspace = build.workspace
    assembled = workspace.read(workspace.assembled, AssembledRoot)
    workspace.parts.mkdir(exist_ok=True)
    verity = make_verity_root(build, assembled)
    boot_loader.write_kernel_image(build, assembled, verity.arguments() if verity else None)
    files = secure_boot.prepared_files(boot_loader.esp_files(build), build.spec.image.secure_boot)
    layout = plan_disk(build, assembled, files, verity)
    tools: ToolRunner = build.runner
    images = make_partitions(build, assembled, layout, files, verity)
    write_disk(layout, images, workspace.disk, boot_code=boot_loader.boot_code(build, layout), tools=tools)
    workspace.disk.chmod(SHARED)
    root_size = sum(tree.blocks for tree in assembled.trees.values()) * ext4_size.BLOCK
    finished = FinishedDisk(
        disk_size=layout.size,
        root_size=root_size,
        esp=planned_later(build, layout, files),
        uuids={planned.label: planned.uuid for planned in layout.partitions},
    )
    workspace.write(workspace.finished_disk, finished)
    build.reporter.conclude(f"a disk of {format_size(layout.size)}")


def plan_disk(build: Build, assembled: AssembledRoot, files: list[EspFile], verity: VerityRoot | None) -> DiskLayout:
    """Give every partition its place."""
    made_later = {partition.label for partition in build.partitions if partition.made_at_first_boot}
    contents = {
        label: ext4_size.size_needed(ext4_size.TreeUsage(tree.blocks, tree.inodes))
        for label, tree in assembled.trees.items()
        if label not in made_later
    }
    partitions, updated = build.partitions, build.spec.image.immutable.update is not None
    for partition in partitions:
        if partition.type is PartitionType.ESP:
            contents[partition.label] = fat_size_needed([*files, *next_kernel(files)] if updated else files)
    contents |= boot_loader.bios_core_size(build)
    if verity is not None:
        contents |= verity.sizes
        if updated:
            partitions = sized_slots(partitions, verity.sizes[verity.label])
    size = build.spec.image.disk.size
    return plan(
        partitions,
        contents,
        disk_size=parse_size(size) if size else None,
        architecture=build.spec.image.target.architecture,
        identity=build.identity,
        path_prefix=build.spec.path,
        uuids=verity.uuids if verity else None,
        names=slot_names(partitions, build.spec.image.version) if updated else None,
    )


def planned_later(build: Build, layout: DiskLayout, files: list[EspFile]) -> PlannedEsp | None:
    """Give what `attest` has to make: the EFI system partition of a disk that is signed."""
    if build.spec.image.secure_boot is None:
        return None
    esp = next(planned for planned in layout.partitions if planned.partition.type is PartitionType.ESP)
    return secure_boot.planned_esp(esp, files, build.workspace.folder)


def next_kernel(files: list[EspFile]) -> list[EspFile]:
    """Give what stands for the next version's kernel image, which lies beside the first for a while."""
    return [
        replace(file, destination=file.destination.with_suffix(".next.efi"))
        for file in files
        if file.destination.parent == boot_loader.KERNELS
    ]


def make_partitions(
    build: Build,
    assembled: AssembledRoot,
    layout: DiskLayout,
    files: list[EspFile],
    verity: VerityRoot | None,
) -> dict[str, Path]:
    """Make the image of each partition, side by side; but no EFI system partition that will be signed."""
    box = sandbox(build, assembled.epoch)
    box.prepare("parts")
    labels = labels_by_partition(assembled.selinux_labels, build.partitions)
    empty = build.workspace.folder / "empty"
    empty.mkdir(exist_ok=True)

    def make(planned: PlannedPartition) -> Path:
        if verity is not None and planned.label in verity.images:
            return verity.images[planned.label]
        image = build.workspace.part(planned.label)
        if planned.partition.filesystem is Filesystem.VFAT:
            parameters = FatParameters(planned.size, planned.filesystem_uuid, planned.filesystem_label, assembled.epoch)
            make_fat(files, image, parameters, tools=build.runner)
            return image
        if planned.partition.filesystem is Filesystem.GRUB:
            image.write_bytes(boot_loader.bios_core(build, planned))
            return image
        if planned.partition.made_at_first_boot:
            make_unmade(image)
            return image
        if planned.partition.filesystem is Filesystem.SWAP:
            uuid = build.identity.filesystem(planned.label)
            make_swap(image, planned.size, uuid=uuid, label=planned.filesystem_label)
            return image
        tree = assembled.trees.get(planned.label, TreeSize(blocks=1, inodes=1))
        is_mounted = planned.label in assembled.trees
        ext4.make_ext4(
            tree_folder(build.workspace.folder, planned.partition) if is_mounted else empty,
            image,
            ext4.Ext4Parameters(
                size=planned.size,
                uuid=build.identity.filesystem(planned.label),
                hash_seed=build.identity.hash_seed(planned.label),
                label=planned.filesystem_label,
                epoch=assembled.epoch,
                root_mode=tree.mode,
                root_owner=(tree.uid, tree.gid),
                labels=labels.get(planned.label, {}),
            ),
            ext4_size.TreeUsage(tree.blocks, tree.inodes),
            tools=box.tools(),
        )
        return image

    later = PartitionType.ESP if build.spec.image.secure_boot else None
    now = [planned for planned in layout.partitions if planned.partition.type is not later and planned.name != EMPTY]
    with ThreadPoolExecutor(max_workers=max(2, build.settings.jobs)) as pool:
        made: dict[str, Future[Path]] = {planned.label: pool.submit(make, planned) for planned in now}
        return {label: future.result() for label, future in made.items()}
