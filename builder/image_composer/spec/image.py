"""The image as the user describes it: the JSON document that everything starts from."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.accounts import Group, SshServer, User
from image_composer.spec.base import (
    Flag,
    HostName,
    ImageName,
    ImageVersion,
    KernelArgument,
    Number,
    PackageName,
    PackageRequest,
    SpecModel,
    Url,
)
from image_composer.spec.composition import Extends, RemovedPath, Variable, VariableText
from image_composer.spec.disk import (
    BootLoader,
    Disk,
)
from image_composer.spec.files import File, Folder, Tree
from image_composer.spec.network import NetworkSettings
from image_composer.spec.outputs import (
    Installer,
    Output,
    OutputFormat,
)
from image_composer.spec.scripts import Script, VariableName
from image_composer.spec.software import Artifact, CloudInit, Minimize, PackageManager
from image_composer.spec.source import in_bucket
from image_composer.spec.system import KernelModules, Locale, Messages, Rules, Selinux, Systemd, Trust
from image_composer.spec.text import Line, SysctlName
from image_composer.spec.trusted import Immutable, Mutability, SecureBoot
from image_composer.spec.verification import VerificationRequest


class Architecture(StrEnum):
    """A processor architecture, by the kernel's name."""

    X86_64 = "x86_64"
    AARCH64 = "aarch64"


class Target(SpecModel):
    """The distribution that the image is made of."""

    distribution: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$", max_length=32)]
    """Distribution by its provider's name; `image-composer providers` lists them."""

    release: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$", max_length=32)]
    """Release as the distribution numbers it, for example `12` or `3.0`. Quote it in YAML."""

    architecture: Architecture = Architecture.X86_64
    """Processor architecture of the machines that the image runs on."""


class Kernel(SpecModel):
    """The kernel of the image and how it is started."""

    package: PackageName | None = None
    """Package that brings the kernel; the provider's default when absent."""

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+~:^_*?-]{1,64}$", max_length=64)] | None = None
    """Version the package must have; `*` and `?` match as in a shell. The newest that matches is taken."""

    command_line: list[KernelArgument] = Field(default_factory=list, max_length=128)
    """Arguments added after the provider's own, in order. `root=` is the composer's to set."""

    modules: KernelModules = Field(default_factory=KernelModules)
    """Modules that are loaded, their options, and those that are never loaded."""


class Signed(StrEnum):
    """What of an rpm repository is signed. What it says is required; there is no way to require nothing."""

    METADATA_AND_PACKAGES = "metadata-and-packages"
    METADATA = "metadata"
    """Packages are what the signed metadata vouches for; they carry no signature of their own."""

    PACKAGES = "packages"
    """The list of packages is not signed: whoever serves it can withhold updates, but not bring packages of his own."""


class Repository(SpecModel):
    """A package repository beside the distribution's own."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", max_length=64)]
    """Name in messages, lock file and SBOM; unique."""

    url: Url
    """Base URL of the repository: the folder that holds `dists/` (deb) or `repodata/` (rpm)."""

    suite: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,128}$", max_length=128)] | None = None
    """deb: the suite below `dists/`; a flat repository's folder ends with `/`."""

    components: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,64}$", max_length=64)]] = Field(
        default_factory=list, max_length=16
    )
    """deb: the components used; `main` when absent."""

    key: Annotated[str, StringConstraints(max_length=65536)]
    """OpenPGP public keys that may sign the repository, ASCII-armoured."""

    signed: Signed | None = None
    """What of it must be signed by one of the keys; `metadata-and-packages` when absent. deb: always `metadata`."""

    priority: Number = Field(default=500, ge=1, le=1000)
    """Higher wins, whatever the versions; the distribution's own repositories have 500."""

    packages: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+._*?-]{1,128}$", max_length=128)]] = Field(
        default_factory=list, max_length=256
    )
    """Only these packages are taken from here (shell patterns); all when empty."""


class ImageSpec(SpecModel):
    """An operating system image."""

    name: ImageName
    """Name of the image; part of the file names."""

    version: ImageVersion
    """Version of the image; part of the file names. Quote it in YAML."""

    target: Target
    """Distribution, release and architecture."""

    profile: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$", max_length=32)] | None = None
    """Named set of packages of the distribution that the image starts from; `image-composer providers` lists them.
    The distribution's default when absent. `packages` adds to it and `excludePackages` takes from it."""

    packages: list[PackageRequest] = Field(default_factory=list, max_length=1024)
    """Packages added to those of the profile: `name` or `name=version`."""

    exclude_packages: list[PackageName] = Field(default_factory=list, max_length=1024)
    """Packages that must not be in the image; an error when something needs one."""

    install_recommends: Flag = False
    """Whether recommended packages are installed too."""

    kernel: Kernel = Field(default_factory=Kernel)
    """Kernel and command line."""

    repositories: list[Repository] = Field(default_factory=list, max_length=32)
    """Package repositories beside the distribution's own."""

    mirrors: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$", max_length=64)], Url] = Field(
        default_factory=dict, max_length=16
    )
    """Base URL by archive name, instead of the provider's, for example `debian: https://mirror.example/debian`."""

    hostname: HostName | None = None
    """Host name; the image's name when absent."""

    users: list[User] = Field(default_factory=list, max_length=256)
    """User accounts."""

    groups: list[Group] = Field(default_factory=list, max_length=256)
    """Groups beside those of packages."""

    ssh: SshServer = Field(default_factory=SshServer)
    """Who may log in over the network, and how."""

    files: list[File] = Field(default_factory=list, max_length=512)
    """Files, written after everything else that the document says."""

    folders: list[Folder] = Field(default_factory=list, max_length=256)
    """Folders, made before the files."""

    trees: list[Tree] = Field(default_factory=list, max_length=16)
    """Trees of files, written in their order before everything else of the document, which has the last word."""

    systemd: Systemd = Field(default_factory=Systemd)
    """Units, and which of them are started."""

    sysctl: Annotated[dict[SysctlName, Line], Field(max_length=256)] = Field(default_factory=dict)
    """Kernel settings by name, set at every start."""

    tmpfiles: list[Line] = Field(default_factory=list, max_length=256)
    """Lines of tmpfiles.d(5): what is made, changed or cleared at every start."""

    udev_rules: list[Rules] = Field(default_factory=list, max_length=64)
    """Rules about devices, as in udev(7)."""

    network: NetworkSettings = Field(default_factory=NetworkSettings)
    """Interfaces, names, time, proxies and packet filter of the running system."""

    locale: Locale = Field(default_factory=Locale)
    """Language, keyboard and time zone of the running system."""

    messages: Messages = Field(default_factory=Messages)
    """Texts for people who log in."""

    trust: Trust = Field(default_factory=Trust)
    """Authorities that the running system trusts."""

    artifacts: list[Artifact] = Field(default_factory=list, max_length=64)
    """Large files that are downloaded into the image, such as archives of container images."""

    cloud_init: CloudInit | None = None
    """What cloud-init does at the first start; brings the package."""

    package_manager: PackageManager = Field(default_factory=PackageManager)
    """Repositories that the running system knows, and whether it can install anything."""

    minimize: Minimize = Field(default_factory=Minimize)
    """What of the packages is left out."""

    selinux: Selinux | None = None
    """Mode of SELinux; the distribution's choice, and no labels, when absent."""

    scripts: list[Script] = Field(default_factory=list, max_length=64)
    """Scripts that are run while the image is composed."""

    disk: Disk = Field(default_factory=Disk)
    """Size and layout of the disk."""

    boot_loader: BootLoader = Field(default_factory=BootLoader)
    """What starts the kernel, and on which firmware; systemd-boot on UEFI when absent."""

    mutability: Mutability = Mutability.MUTABLE
    """Whether the running system can change its own files. An immutable root is checked block by block (dm-verity);
    /var, /home, /root and /srv are writable, and so is /etc, whose changes lie beside it."""

    immutable: Immutable = Field(default_factory=Immutable)
    """How the root of an immutable image is made."""

    secure_boot: SecureBoot | None = None
    """Signatures for Secure Boot; none when absent."""

    outputs: list[Output] = Field(
        default_factory=lambda: [Output(format=OutputFormat.RAW)], min_length=1, max_length=16
    )
    """Files that the build delivers."""

    installer: Installer = Field(default_factory=Installer)
    """What the installer of an `iso` output does."""

    verify: VerificationRequest = Field(default_factory=VerificationRequest)
    """What is checked of the finished image; changes nothing of it."""

    source_date_epoch: Number | None = Field(default=None, ge=315532800, le=4102444800)
    """Seconds since 1970 that all times in the image are set to, from 1980 (where FAT begins) to 2100; when
    absent, the time that the newest of the packages was built for."""

    # What makes one document of several is gone once it has been read, and so no part of a spec's digest: spec/layers.

    extends: list[Extends] = Field(default_factory=list, max_length=16, exclude=True)
    """Documents that this one builds on, see docs/extends.md: what a later one says counts, and this one's word last.
    `name`, `version` and `target` must stand in this document all the same."""

    remove: list[RemovedPath] = Field(default_factory=list, max_length=256, exclude=True)
    """What of the documents in `extends` is left out, by its path."""

    variables: list[Variable] = Field(default_factory=list, max_length=128, exclude=True)
    """Variables that texts of the document may name as `${NAME}`; `$${` stands for `${` itself."""

    values: Annotated[dict[VariableName, VariableText], Field(max_length=128)] = Field(
        default_factory=dict, exclude=True
    )
    """Values of variables, as text."""

    @property
    def has_installer(self) -> bool:
        """Whether one of the outputs is an installer."""
        return any(output.format is OutputFormat.ISO for output in self.outputs)

    @property
    def downloaded(self) -> dict[str, File | Script | Tree | Artifact]:
        """All that comes from a url, by the path of its field, for example `files[3]`."""
        fields: dict[str, Sequence[File | Script | Tree | Artifact]] = {
            "files": self.files,
            "scripts": self.scripts,
            "trees": self.trees,
            "artifacts": self.artifacts,
        }
        return {
            f"{field}[{number}]": item
            for field, items in fields.items()
            for number, item in enumerate(items)
            if item.url is not None
        }

    @property
    def in_buckets(self) -> dict[str, str]:
        """The `s3://` addresses among them, by the same paths."""
        return {path: item.url for path, item in self.downloaded.items() if item.url and in_bucket(item.url)}
