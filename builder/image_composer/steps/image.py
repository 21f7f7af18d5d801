"""image: `root/` and `boot/` become partitions, and these the disk."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from image_composer.disk import ext4, ext4_size
from image_composer.disk.assemble import write_disk
from image_composer.disk.esp import EspFile, FatParameters, make_fat
from image_composer.disk.esp import size_needed as fat_size_needed
from image_composer.disk.immutable import EMPTY, sized_slots, slot_names
from image_composer.disk.layout import DiskLayout, PlannedPartition, plan
from image_composer.disk.tools import ToolRunner
from image_composer.disk.uki import UkiSections, write_uki
from image_composer.formats.naming import kernel_name
from image_composer.root.assemble import tree_folder
from image_composer.spec.base import format_size, parse_size
from image_composer.spec.image import Architecture, Filesystem, PartitionType
from image_composer.steps import secure_boot
from image_composer.steps.assemble import sandbox
from image_composer.steps.build import Build
from image_composer.steps.verity_root import VerityRoot, make_verity_root
from image_composer.workspace import AssembledRoot, FinishedDisk, PlannedEsp, TreeSize

REMOVABLE_LOADER = {Architecture.X86_64: "BOOTX64.EFI", Architecture.AARCH64: "BOOTAA64.EFI"}
"""Name by which firmware finds a boot loader on a disk it knows nothing of (UEFI specification, 3.5.1.1)."""

LOADER_NAME = {Architecture.X86_64: "systemd-bootx64.efi", Architecture.AARCH64: "systemd-bootaa64.efi"}
KERNELS = PurePosixPath("EFI/Linux")
LOADER_CONFIGURATION = b"timeout 0\n"

SHARED = 0o666
"""Mode of the disk: `attest` is another user in a pod, writes signatures into it and links outputs to it."""

UNATTENDED = ["panic=10", "rd.shell=0", "rd.emergency=reboot"]
"""Kernel arguments by which a version that doesn't start is tried again, and then passed over, with nobody there."""


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
    command_line = kernel_command_line(build, verity)
    write_uki(
        workspace.uki,
        (workspace.boot / "stub").read_bytes(),
        UkiSections(
            os_release=(workspace.boot / "os-release").read_bytes(),
            command_line=command_line,
            kernel_release=assembled.kernel_version,
            kernel=workspace.boot / "kernel",
            initrd=workspace.boot / "initrd",
        ),
    )
    files = secure_boot.prepared_files(esp_files(build, workspace.uki), build.spec.image.secure_boot)
    layout = plan_disk(build, assembled, files, verity)
    tools: ToolRunner = build.runner
    write_disk(layout, make_partitions(build, assembled, layout, files, verity), workspace.disk, tools=tools)
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


def kernel_command_line(build: Build, verity: VerityRoot | None = None) -> str:
    """Give the command line: where the root is, the provider's arguments, the user's."""
    root = next(partition for partition in build.partitions if partition.type is PartitionType.ROOT)
    place = verity.arguments() if verity else [f"root=PARTUUID={build.identity.partition(root.label)}"]
    failing = UNATTENDED if build.spec.image.immutable.update else []
    return " ".join([*place, *failing, *own_arguments(build)])


def own_arguments(build: Build) -> list[str]:
    """Give the arguments of the kernel that don't lead to the root: the provider's, then the user's."""
    spec, profile = build.spec.image, build.manifest.profile(build.spec.image.profile)
    provided = [*build.target[2].command_line, *(profile.command_line if profile else [])]
    return [*provided, *spec.kernel.command_line]


def esp_files(build: Build, uki: Path) -> list[EspFile]:
    """Give what goes onto the EFI system partition."""
    architecture = build.spec.image.target.architecture
    loader = build.workspace.boot / "loader"
    return [
        EspFile(PurePosixPath("EFI/BOOT") / REMOVABLE_LOADER[architecture], loader),
        EspFile(PurePosixPath("EFI/systemd") / LOADER_NAME[architecture], loader),
        EspFile(KERNELS / kernel_name(build.spec.image), uki),
        EspFile(PurePosixPath("loader/loader.conf"), LOADER_CONFIGURATION),
        EspFile(PurePosixPath("loader/entries.srel"), b"type1\n"),
    ]


def plan_disk(build: Build, assembled: AssembledRoot, files: list[EspFile], verity: VerityRoot | None) -> DiskLayout:
    """Give every partition its place."""
    contents = {
        label: ext4_size.size_needed(ext4_size.TreeUsage(tree.blocks, tree.inodes))
        for label, tree in assembled.trees.items()
    }
    partitions, updated = build.partitions, build.spec.image.immutable.update is not None
    for partition in partitions:
        if partition.type is PartitionType.ESP:
            contents[partition.label] = fat_size_needed([*files, *next_kernel(files)] if updated else files)
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
        if file.destination.parent == KERNELS
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
