"""The facts of one release of a distribution, as a provider's manifest states them; docs/providers.md."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from image_composer.spec.base import AbsolutePath, KernelArgument, PackageName, SpecModel, Url
from image_composer.spec.disk import Filesystem, Partition
from image_composer.spec.features import Feature
from image_composer.spec.image import Architecture, Signed


class Family(StrEnum):
    """A package format."""

    DEB = "deb"
    RPM = "rpm"


class RepositoryFacts(SpecModel):
    """One of the distribution's own package repositories."""

    id: str
    """Name in messages, lock file and SBOM."""

    archive: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]
    """Which archive it is part of: mirrors and keys are given by archive."""

    url: Url
    """Public base URL of the archive."""

    suite: str | None = None
    """deb: the suite below `dists/`."""

    components: list[str] = Field(default_factory=list)
    """deb: the components used."""

    path: str | None = None
    """rpm: the folder of `repodata/` below the archive's URL, empty when it is the archive's own; `{architecture}`
    stands for the distribution's name of it."""

    signed: Signed = Signed.METADATA_AND_PACKAGES
    """rpm: what of it is signed, and therefore must be."""

    keys: list[str] = Field(default_factory=list)
    """Key files of the provider, any of whose keys may sign it. Without one, the machine's settings must name one."""

    priority: int = 500
    """Higher wins, whatever the versions."""


class GrubFacts(SpecModel):
    """How the distribution brings GRUB."""

    packages: list[PackageName]
    """Packages that bring its programs, and what writes its configuration when a kernel is updated."""

    uefi_packages: list[PackageName]
    """Packages that bring its modules for UEFI."""

    bios_packages: list[PackageName] = Field(default_factory=list)
    """Packages that bring its modules for a BIOS; empty where there are none."""

    program: AbsolutePath
    """Program that makes a core out of modules, run inside the image's root."""

    modules: AbsolutePath
    """Folder of the modules; below it, one for each platform."""

    folder: AbsolutePath
    """Folder of `grub.cfg`, where the distribution's tools write it."""

    initrd: str
    """Initramfs in the root, where the distribution's tools look for it; `{kernel}` stands for the kernel's version."""


class ArchitectureFacts(SpecModel):
    """How the distribution names and boots an architecture."""

    package_architecture: str
    """The distribution's own name of it, for example `amd64`."""

    kernel_package: PackageName
    """Package that brings the default kernel."""

    boot_packages: list[PackageName] = Field(default_factory=list)
    """Packages that bring systemd-boot and the UKI stub."""

    grub: GrubFacts | None = None
    """GRUB instead of those; None where the distribution has no packages of it."""

    command_line: list[KernelArgument] = Field(default_factory=list)
    """The provider's own kernel arguments."""

    installer_kernels: list[str] = Field(default_factory=list)
    """Kernel packages (shell patterns) that can start an installer: they read iso9660 and know CD drives and USB
    sticks. `iso` outputs with any other kernel are refused."""


class InitramfsFacts(SpecModel):
    """How the initramfs is generated."""

    generator: Literal["dracut"]
    """Program that makes it, run inside the image's root."""

    packages: list[PackageName]
    """Packages that bring the generator."""

    modules: list[str] = Field(default_factory=list)
    """Generator modules added to its own choice."""

    omit_modules: list[str] = Field(default_factory=list)
    """Generator modules that an image never needs."""

    drivers: list[str] = Field(default_factory=list)
    """Kernel modules put in whatever the generator thinks, so that the image boots on other machines."""


class BootFiles(SpecModel):
    """Where the distribution keeps the files that start a machine; `{kernel}` stands for the kernel's version."""

    kernel: str
    """Kernel image in the root."""

    stub: str
    """UKI stub in the root."""

    loader: str
    """Boot loader in the root."""


class AccountFacts(SpecModel):
    """How the distribution keeps accounts."""

    shadow_gid: int = 0
    """Group that may read the shadow files."""


class RpmFacts(SpecModel):
    """Where the distribution's rpm keeps what is installed."""

    database: AbsolutePath = "/var/lib/rpm"
    """Folder of the database."""

    backend: Literal["sqlite", "ndb"] = "sqlite"
    """Format of the database."""


class DefaultPackage(SpecModel):
    """A package that images have unless the user wants it otherwise."""

    name: PackageName
    unless: list[PackageName] = Field(default_factory=list)
    """Packages that do its work: it is left out when the user asks for one of them."""


class Profile(SpecModel):
    """A named set of packages that a spec can pick, add to and take from."""

    title: str
    """What it is for, in a few words."""

    packages: list[DefaultPackage] = Field(default_factory=list)
    """What images of it have beyond the base and default packages, with the same rules as those."""

    kernel_package: PackageName | None = None
    """Package that brings its kernel, instead of the architecture's."""

    command_line: list[KernelArgument] = Field(default_factory=list)
    """Kernel arguments after those of the architecture."""


class Conditional(SpecModel):
    """Something that depends on what is in the image."""

    requires: PackageName | None = None
    """Applies only when this package is in the image."""

    unless: list[PackageName] = Field(default_factory=list)
    """Does not apply when one of these packages is in the image."""

    def applies(self, installed: Collection[str]) -> bool:
        """Say whether it applies to an image of these packages."""
        missing = self.requires is not None and self.requires not in installed
        return not missing and not any(name in installed for name in self.unless)


class DefaultFile(Conditional):
    """A file that images of the distribution have."""

    path: AbsolutePath
    content: str
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")] = "0644"
    """Mode in octal."""


class DefaultUnit(Conditional):
    """A systemd unit that images of the distribution start."""

    name: str


class Manifest(SpecModel):
    """All facts about one release of a distribution."""

    distribution: str
    release: str
    codename: str
    title: str
    """For people, for example `Debian 12 (bookworm)`."""

    supplier: str | None = None
    """Who supplies the packages, as an SBOM names it; the distribution's name when absent."""

    family: Family
    """Package format."""

    rpm: RpmFacts = RpmFacts()
    """rpm: facts about its database."""

    architectures: dict[Architecture, ArchitectureFacts]
    repositories: list[RepositoryFacts]

    base_packages: list[PackageName]
    """What every image has and can't exclude; the closure of Essential packages comes by itself."""

    default_packages: list[DefaultPackage] = Field(default_factory=list)
    """What an image has beyond that, unless it is excluded or something else does its work."""

    profiles: dict[str, Profile] = Field(default_factory=dict)
    """Named sets of packages, by the name that a spec gives in `profile`."""

    default_profile: str | None = None
    """Profile of a spec that names none."""

    feature_packages: dict[Feature, list[PackageName]] = Field(default_factory=dict)
    """Packages that a field of the spec brings; what needs some, but is not here, is refused. `update` brings
    systemd-sysupdate; a release without it has none."""

    initramfs: InitramfsFacts
    boot_files: dict[Architecture, BootFiles]
    filesystems: list[Filesystem]
    """File systems that the release's kernel can mount and its tools can check."""

    read_only_filesystems: dict[Literal["ext4", "squashfs", "erofs"], list[str]] = Field(default_factory=dict)
    """File systems that a read-only root can have, with the compressions that the release's kernel knows for each."""

    partitions: list[Partition]
    """Default layout of the disk."""

    accounts: AccountFacts = AccountFacts()
    files: list[DefaultFile] = Field(default_factory=list)
    """Files written before the user's settings."""

    units: list[DefaultUnit] = Field(default_factory=list)
    """systemd units enabled beyond what the packages' own scripts enable."""

    @model_validator(mode="after")
    def _check_family(self) -> Self:
        """Hold repositories against the package format, and the default profile against the profiles."""
        for repository in self.repositories:
            needed = {"suite", "components"} if self.family is Family.DEB else {"path"}
            given = {name for name in ("suite", "components", "path") if getattr(repository, name) not in (None, [])}
            if needed != given:
                told = ", ".join(sorted(needed))
                raise ValueError(f"repository {repository.id} of a {self.family} distribution needs {told}, no other")
        if self.default_profile is not None and self.default_profile not in self.profiles:
            raise ValueError(f"the default profile {self.default_profile} is not among the profiles")
        return self

    def profile(self, name: str | None) -> Profile | None:
        """Give the profile that a spec names, or the default one; None where the distribution has none.

        Raises:
            KeyError: there is no profile of that name; `target_problems` tells the user before.
        """
        chosen = name or self.default_profile
        return self.profiles[chosen] if chosen is not None else None
