"""The assemble stage: from packages and a spec to a finished root, with the files that start it beside."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from image_composer.disk.filesystems import filesystem_uuid
from image_composer.disk.identity import Identity
from image_composer.errors import AssemblyError
from image_composer.manifest import Family, Manifest
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.root import first_boot, grub, operations, selinux
from image_composer.root.configure import Configurer, read_texts
from image_composer.root.customise.kernel import MODULE_OPTIONS
from image_composer.root.customise.software import removal_operations
from image_composer.root.immutable import early, immutable_operations, movable
from image_composer.root.initramfs import NAME as INITRD
from image_composer.root.initramfs import make_initramfs
from image_composer.root.install_deb import DebInstaller
from image_composer.root.install_rpm import RpmInstaller
from image_composer.root.installer import DRIVERS as INSTALLER_DRIVERS
from image_composer.root.installer import NAME as INSTALLER
from image_composer.root.installer import make_installer
from image_composer.root.sandbox import BARE_EXCHANGE, EXCHANGE, Sandbox
from image_composer.root.system import Mount, final_operations, system_operations
from image_composer.root.trees import Entry
from image_composer.root.update import update_operations, with_image_version
from image_composer.spec.disk import BootLoaderType, Filesystem, Partition
from image_composer.spec.image import ImageSpec
from image_composer.spec.scripts import Hook
from image_composer.spec.system import SelinuxMode
from image_composer.spec.trusted import EtcChanges, Mutability

KERNEL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*")
"""What `uname -r` prints; it becomes part of commands and of the UKI."""

OS_RELEASE = "/etc/os-release"


@dataclass(frozen=True, slots=True)
class Assembled:
    """What is known of a finished root."""

    kernel_version: str
    trees: Mapping[str, Mapping[str, int]]
    """What each partition with a mount point holds, by label: `blocks` and `inodes` of its content, `mode`, `uid` and
    `gid` of its top folder."""

    labels: Mapping[str, str]
    """SELinux's, by path of the root; empty when there are none."""


@dataclass(frozen=True, slots=True)
class Assembler:
    """Assembles one root in the sandbox's workspace."""

    sandbox: Sandbox
    spec: ImageSpec
    manifest: Manifest
    lock: Lock
    files: Mapping[str, Path]
    """Package files by package name."""

    partitions: Sequence[Partition]
    identity: Identity
    command_line: str
    """The kernel's, of a root that can be changed."""

    epoch: int
    jobs: int
    reporter: Reporter
    given: Mapping[str, bytes] = field(default_factory=dict)
    """Content that the document takes from elsewhere, by the path of its field."""

    trees: Sequence[Sequence[Entry]] = ()
    """What the document's trees hold, in their order."""

    artifacts: Sequence[Path] = ()
    """Files of the document's artifacts, in their order."""

    def assemble(self, boot_folder: Path) -> Assembled:
        """Make the root in the workspace's `root/` and put the files that start it into a folder.

        Raises:
            AssemblyError: a package can't be installed or the spec can't be carried out.
            SandboxError: there can be no sandbox.
            ToolError: a program failed.
        """
        self.sandbox.prepare("root", "exchange")
        self._install()
        self.reporter.info("applying settings")
        moved = self._moved()
        configurer = self._configurer()
        hostname = self.spec.hostname or self.spec.name
        system = system_operations(
            hostname, self._mounts(), self.partitions, moved=moved, known_hosts=self.spec.network.hosts
        )
        configurer.configure([*system, *first_boot.first_boot_operations(self.partitions, self.identity)])
        if self._etc is not None:
            self._prepare_versions()
        if self.spec.selinux is not None:
            selinux.set_mode(self.sandbox, self.spec.selinux)
        kernel_version = self._kernel_version()
        self.reporter.info(f"making the initramfs of kernel {kernel_version}")
        self._make_initramfs(kernel_version)
        configurer.run_hook(Hook.FINAL)
        removed = removal_operations(self.spec.package_manager, self.manifest.family)
        last = immutable_operations(moved or [], self._etc) if self._etc is not None else []
        self.sandbox.act("apply", operations=[*final_operations(), *removed, *last])
        made = [INITRD, *self._install_grub(kernel_version)]
        self._collect(kernel_version, boot_folder, made)
        labels = selinux.labels(self.sandbox) if self._is_labelled else {}
        return Assembled(kernel_version, self._seal(), labels)

    def _make_initramfs(self, kernel_version: str) -> None:
        """Make the initramfs, and the archive that makes an installer of it when one is asked for."""
        wanted = early({mount.uuid: mount.partition for mount in self._mounts()}, self._etc) if self._etc else None
        drivers = INSTALLER_DRIVERS if self.spec.has_installer else ()
        settings = self.sandbox.act("match", patterns=[MODULE_OPTIONS])["paths"][MODULE_OPTIONS]
        make_initramfs(
            self.sandbox, self.manifest.initramfs, kernel_version, early=wanted, drivers=drivers, settings=settings
        )
        if self.spec.has_installer:
            make_installer(self.sandbox)

    @property
    def _is_labelled(self) -> bool:
        """Whether files get labels of SELinux."""
        return self.spec.selinux is not None and self.spec.selinux.mode is not SelinuxMode.DISABLED

    @property
    def _etc(self) -> EtcChanges | None:
        """What becomes of changes to /etc when the root is immutable."""
        return self.spec.immutable.etc if self.spec.mutability is Mutability.IMMUTABLE else None

    def _moved(self) -> list[str] | None:
        """Give the folders that lie in /var when the root is immutable."""
        if self._etc is None:
            return None
        found: list[str] = self.sandbox.act("folders", paths=movable(self.partitions))["paths"]
        return found

    def _configurer(self) -> Configurer:
        return Configurer(
            sandbox=self.sandbox,
            spec=self.spec,
            manifest=self.manifest,
            installed=frozenset(package.name for package in self.lock.packages),
            epoch=self.epoch,
            given=self.given,
            trees=self.trees,
            artifacts=self.artifacts,
            reporter=self.reporter,
        )

    def _install(self) -> None:
        if self.manifest.family is Family.RPM:
            RpmInstaller(self.sandbox, self.lock, self.files, self.manifest.rpm, self.epoch, self.reporter).install()
        else:
            DebInstaller(self.sandbox, self.lock, self.files, self.jobs, self.reporter).install()

    def _prepare_versions(self) -> None:
        """Say in the root which version it is, and where the next one comes from."""
        os_release = read_texts(self.sandbox, [OS_RELEASE])[OS_RELEASE]
        # A file in place of the distribution's link: no package manager will ever put the link back.
        wanted = [operations.write(OS_RELEASE, with_image_version(os_release, self.spec))]
        if self.spec.immutable.update is not None:
            wanted += update_operations(self.spec, self.spec.immutable.update, self.partitions)
        self.sandbox.act("apply", operations=wanted)

    def _mounts(self) -> list[Mount]:
        return [
            Mount(filesystem_uuid(partition.filesystem, partition.label, self.identity), partition)
            for partition in self.partitions
            if partition.mount_point is not None or partition.filesystem is Filesystem.SWAP
        ]

    def _kernel_version(self) -> str:
        pattern = self.manifest.boot_files[self.spec.target.architecture].kernel
        found = self.sandbox.act("match", patterns=[pattern.format(kernel="*")])["paths"]
        before, after = pattern.split("{kernel}")
        names = [path.removeprefix(before).removesuffix(after) for matches in found.values() for path in matches]
        versions: list[str] = sorted(filter(KERNEL_VERSION.fullmatch, names), key=version_key)
        if not versions:
            raise AssemblyError(
                "ASSEMBLE_NO_KERNEL",
                f"no package of the image brings a kernel at {pattern.format(kernel='*')}",
                hint="name a package that brings one in kernel.package",
            )
        if len(versions) > 1:
            self.reporter.warning(f"the image holds the kernels {', '.join(versions)}; it starts {versions[-1]}")
        return versions[-1]

    def _install_grub(self, kernel_version: str) -> list[str]:
        """Put what GRUB starts and its configuration into the root; give the files that start it, beside.

        After leftovers are gone, among which a package's own initramfs is.
        """
        architecture, loader = self.spec.target.architecture, self.spec.boot_loader
        facts = self.manifest.architectures[architecture].grub
        if loader.type is not BootLoaderType.GRUB or facts is None:
            return []
        entry = grub.Entry(
            title=self.manifest.title,
            kernel_version=kernel_version,
            kernel=self.manifest.boot_files[architecture].kernel.format(kernel=kernel_version),
            initrd=facts.initrd.format(kernel=kernel_version),
            command_line=self.command_line,
        )
        place = grub.boot_place(self.partitions, self.identity)
        self.sandbox.act("collect", exchange=True, files={f"{BARE_EXCHANGE}/{INITRD}": entry.initrd})
        self.sandbox.act("apply", operations=grub.root_operations(facts, entry, place))
        return grub.make_cores(self.sandbox, facts, architecture, loader, place)

    def _collect(self, kernel_version: str, boot_folder: Path, made: Sequence[str]) -> None:
        """Bring the files that start the machine out of the root.

        They are copied by a process that sees the root only, so no link in it can lead to a file of the host.

        Args:
            kernel_version: as `uname -r` prints it.
            boot_folder: where they go.
            made: those that are in the exchange folder already.
        """
        places = self.manifest.boot_files[self.spec.target.architecture]
        wanted = {places.kernel.format(kernel=kernel_version): "kernel", OS_RELEASE: "os-release"}
        if self.spec.boot_loader.type is BootLoaderType.SYSTEMD_BOOT:
            wanted |= {places.stub: "stub", places.loader: "loader"}
        files = {source: f"{BARE_EXCHANGE}/{name}" for source, name in wanted.items()}
        self.sandbox.act("collect", exchange=True, files=files)
        boot_folder.mkdir(exist_ok=True)
        for name in (*wanted.values(), *made, *([INSTALLER] if self.spec.has_installer else [])):
            take_file(self.sandbox.workspace / "exchange" / name, boot_folder / name)

    def _seal(self) -> dict[str, dict[str, int]]:
        """Move what belongs on other partitions to folders of their own, set all times and measure."""
        trees = {partition.label: partition for partition in self.partitions if partition.mount_point is not None}
        others = {label: p for label, p in trees.items() if p.mount_point != "/" and p.filesystem != "vfat"}
        deepest_first = sorted(others.values(), key=lambda partition: partition.mount_point or "", reverse=True)
        mounts = {partition.mount_point: f"{EXCHANGE}/tree-{partition.label}" for partition in deepest_first}
        if mounts:
            self.sandbox.act("split", system=True, exchange=True, mounts=mounts)
        for partition in others.values():
            check_folder(tree_folder(self.sandbox.workspace, partition))
        places = {label: f"{BARE_EXCHANGE}/tree-{label}" for label in others}
        usages: dict[str, dict[str, int]] = {}
        if places:
            found = self.sandbox.act("seal", exchange=True, trees=list(places.values()), epoch=self.epoch)["trees"]
            usages = {label: found[place] for label, place in places.items()}
        first_boot.check_empty(others, usages)
        root = next(label for label, partition in trees.items() if partition.mount_point == "/")
        found = self.sandbox.act("seal", trees=["/"], epoch=self.epoch)["trees"]
        return {**usages, root: found["/"]}


def tree_folder(workspace: Path, partition: Partition) -> Path:
    """Give the folder of the workspace that holds a partition's content."""
    return workspace / "root" if partition.mount_point == "/" else workspace / "exchange" / f"tree-{partition.label}"


def check_folder(path: Path) -> None:
    """Refuse anything but a folder: a program of the root could have put a link to files of the host in its place.

    Raises:
        AssemblyError: ASSEMBLE_NOT_A_FOLDER.
    """
    if path.is_symlink() or not path.is_dir():
        raise AssemblyError("ASSEMBLE_NOT_A_FOLDER", f"{path.name}, the content of a partition, is not a folder")


def version_key(text: str) -> list[tuple[int, str]]:
    """Give a key that sorts kernel versions by their numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", text) if part]


def take_file(source: Path, destination: Path) -> None:
    """Copy a file that the sandbox wrote, refusing anything but a regular file.

    Raises:
        AssemblyError: ASSEMBLE_NOT_A_FILE.
    """
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise AssemblyError("ASSEMBLE_NOT_A_FILE", f"{source.name} can't be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AssemblyError("ASSEMBLE_NOT_A_FILE", f"{source.name} in the root is not a regular file")
        with open(descriptor, "rb", closefd=False) as reader, destination.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
    finally:
        os.close(descriptor)
