"""Rules that span fields of the spec. Each is one small function that names what is wrong, and where.

Rules about what a distribution can do need its manifest: `rules_target`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from image_composer.errors import Problem
from image_composer.spec import rules_disk, rules_system
from image_composer.spec.accounts import Sudo
from image_composer.spec.base import format_size, parse_size
from image_composer.spec.destination import Destination, S3Server
from image_composer.spec.disk import BIOS_BOOT_LABEL, BootLoaderType
from image_composer.spec.image import Architecture, ImageSpec
from image_composer.spec.imagebuild import BuildRequest
from image_composer.spec.outputs import Compression, Installer, InstallRule, OutputFormat
from image_composer.spec.packages import parse_package_request
from image_composer.spec.pod import Medium
from image_composer.spec.problems import Finding
from image_composer.spec.rules_update import PUBLIC_KEY, sizes_fit, update_can_be_trusted
from image_composer.spec.trusted import Immutable, Mutability

COMPRESSED_INSIDE = frozenset({OutputFormat.QCOW2, OutputFormat.VMDK, OutputFormat.ISO})
"""Formats whose content is compressed already; compressing them once more takes time and saves nothing."""

GRUB_ARGUMENT = re.compile(r"""([^\\'" ]+=)?"[^\\'"]*"|[^\\'"]*""")
"""Arguments that reach the kernel through GRUB as they are: it puts a backslash before every quote and backslash, and
quotes around what has blanks, which the kernel understands for whole arguments only."""

LARGEST_VHD = 2040 << 30
"""Bytes: the dynamic format's limit, and Hyper-V's for the fixed one too."""

Rule = Callable[[ImageSpec], Iterator[Finding]]
RequestRule = Callable[[BuildRequest], Iterator[Finding]]


def spec_problems(spec: ImageSpec, prefix: str, unknown: frozenset[str]) -> list[Problem]:
    """Give what is wrong with a spec whose fields are right by themselves.

    Args:
        spec: the spec.
        prefix: path of the spec in the user's document.
        unknown: top-level fields (as in JSON) whose value is not the user's; rules about them are left out.
    """
    return [
        Problem(f"{prefix}.{path}" if prefix else path, message)
        for fields, rule in RULES
        if not unknown & fields
        for path, message in rule(spec)
    ]


def request_problems(request: BuildRequest, prefix: str, unknown: frozenset[str]) -> list[Problem]:
    """Give what is wrong with what stands beside the image, as `spec_problems` does."""
    return [
        Problem(f"{prefix}.{path}", message)
        for field, rule in REQUEST_RULES
        if field not in unknown
        for path, message in rule(request)
    ]


def key_problems(spec: ImageSpec, request: BuildRequest) -> list[Problem]:
    """Give what is wrong between an image and what stands beside it, both right by themselves."""
    if request.secure_boot is not None and spec.secure_boot is None:
        return [Problem("spec.secureBoot", "is without use: image.secureBoot says for what")]
    if request.inputs is not None and not spec.in_buckets:
        return [Problem("spec.inputs", "is without use: nothing of the image comes from s3://BUCKET/KEY")]
    return []


def destination_problems(destination: Destination, prefix: str, unknown: frozenset[str]) -> list[Problem]:
    """Give what is wrong with a destination by itself, as `spec_problems` does."""
    return [
        Problem(f"{prefix}.s3.{path}", message)
        for path, message in _certificates(destination.s3)
        if "s3" not in unknown
    ]


def _packages_once(spec: ImageSpec) -> Iterator[Finding]:
    """A package that is asked for twice is a slip when the versions differ."""
    versions: dict[str, str | None] = {}
    for number, text in enumerate(spec.packages):
        name, version = parse_package_request(text)
        if name in versions and versions[name] != version:
            yield f"packages[{number}]", f"{name} is asked for twice, with different versions"
        versions.setdefault(name, version)


def _not_both_wanted_and_excluded(spec: ImageSpec) -> Iterator[Finding]:
    wanted = {parse_package_request(text).name for text in spec.packages} | {spec.kernel.package}
    for number, name in enumerate(spec.exclude_packages):
        if name in wanted:
            yield f"excludePackages[{number}]", f"{name} is excluded, but the spec asks for it"


def _command_line(spec: ImageSpec) -> Iterator[Finding]:
    """The composer knows where the root is; a second opinion would only break the boot."""
    for number, argument in enumerate(spec.kernel.command_line):
        if argument.split("=")[0] in ("root", "initrd"):
            yield f"kernel.commandLine[{number}]", f"{argument.split('=')[0]}= is set by the composer"


def _repositories(spec: ImageSpec) -> Iterator[Finding]:
    yield from rules_system.once("repositories", "id", (repository.id for repository in spec.repositories))
    for number, repository in enumerate(spec.repositories):
        if PUBLIC_KEY not in repository.key:
            yield f"repositories[{number}].key", "must be an ASCII-armoured OpenPGP public key"
        if repository.suite is None and repository.components:
            yield f"repositories[{number}].components", "are those of a suite, which is missing"


def _users(spec: ImageSpec) -> Iterator[Finding]:
    yield from rules_system.once("users", "name", (user.name for user in spec.users))
    yield from rules_system.once("users", "uid", (user.uid for user in spec.users if user.uid is not None))
    for number, user in enumerate(spec.users):
        if user.name == "root" and (user.uid is not None or user.home is not None):
            yield f"users[{number}]", "uid and home of root can't be changed"
        if user.sudo is Sudo.PASSWORD and user.password_hash is None:
            yield (
                f"users[{number}].sudo",
                "asks for a password, but the user has none; give passwordHash or 'passwordless'",
            )


def _outputs(spec: ImageSpec) -> Iterator[Finding]:
    for number, output in enumerate(spec.outputs):
        if output in spec.outputs[:number]:
            yield f"outputs[{number}]", "is there twice"
        if output.format in COMPRESSED_INSIDE and output.compression is not Compression.NONE:
            yield f"outputs[{number}].compression", f"must be 'none': {output.format} is compressed inside already"
        if output.format is OutputFormat.ROOT_VERITY and spec.mutability is Mutability.MUTABLE:
            yield f"outputs[{number}].format", "is a part of immutable images only"
    formats = {output.format for output in spec.outputs}
    for name in (OutputFormat.VHD, OutputFormat.VHD_DYNAMIC):
        if name in formats and spec.disk.size is not None and parse_size(spec.disk.size) > LARGEST_VHD:
            yield "disk.size", f"is more than the {format_size(LARGEST_VHD)} that a {name} can hold"


def _installer(spec: ImageSpec) -> Iterator[Finding]:
    target = spec.installer.target
    if not spec.has_installer and spec.installer != Installer():
        yield "installer", "is without use: no output has the format 'iso'"
    if target.rule in (InstallRule.SERIAL, InstallRule.PATH):
        if target.value is None:
            yield "installer.target.value", f"is missing: the rule is '{target.rule}'"
        elif target.rule is InstallRule.PATH and not target.value.startswith("/dev/"):
            yield "installer.target.value", "must be a path below /dev"
    elif target.value is not None:
        yield "installer.target.value", f"is without use: the rule is '{target.rule}'"
    if target.rule is InstallRule.ASK and spec.installer.overwrite:
        yield "installer.overwrite", "is without use: who is asked for the disk is asked about what is on it too"


def _mutability(spec: ImageSpec) -> Iterator[Finding]:
    if spec.mutability is Mutability.MUTABLE and spec.immutable != Immutable():
        yield "immutable", "is without use: mutability is 'mutable'"


def _boot_loader(spec: ImageSpec) -> Iterator[Finding]:
    loader = spec.boot_loader
    if loader.type is BootLoaderType.GRUB and spec.mutability is Mutability.IMMUTABLE:
        yield "bootLoader.type", "can't be 'grub' for an immutable image: nothing would vouch for what it starts"
    if loader.type is BootLoaderType.GRUB and spec.secure_boot is not None:
        yield "bootLoader.type", "can't be 'grub' with secureBoot: it would start kernels that nobody has signed"
    for number, output in enumerate(spec.outputs):
        if loader.type is BootLoaderType.GRUB and output.format is OutputFormat.UKI:
            yield f"outputs[{number}].format", "can't be 'uki': GRUB starts kernel and initramfs out of the root"
        if loader.type is BootLoaderType.GRUB and output.format is OutputFormat.ISO:
            yield f"outputs[{number}].format", "can't be 'iso': the installer starts by systemd's means, not by GRUB's"
    if loader.bios and loader.type is not BootLoaderType.GRUB:
        yield "bootLoader.firmware", f"must be 'uefi': {loader.type} starts on no other; a BIOS needs type 'grub'"
    if loader.bios and spec.target.architecture is not Architecture.X86_64:
        yield "bootLoader.firmware", f"must be 'uefi': no machine of {spec.target.architecture} has a BIOS"


def _grub(spec: ImageSpec) -> Iterator[Finding]:
    if spec.boot_loader.type is not BootLoaderType.GRUB:
        return
    for number, argument in enumerate(spec.kernel.command_line):
        if not GRUB_ARGUMENT.fullmatch(argument):
            yield f"kernel.commandLine[{number}]", "has quotes or a backslash where GRUB would change them"
    if not spec.boot_loader.bios:
        return
    for number, partition in enumerate(spec.disk.partitions):
        if partition.label == BIOS_BOOT_LABEL:
            yield f"disk.partitions[{number}].label", "is that of the partition which the composer adds for GRUB"


def _destination(request: BuildRequest) -> Iterator[Finding]:
    if request.destination is not None:
        for path, message in _certificates(request.destination.s3):
            yield f"destination.s3.{path}", message


def _inputs(request: BuildRequest) -> Iterator[Finding]:
    if request.inputs is not None:
        for path, message in _certificates(request.inputs.s3):
            yield f"inputs.s3.{path}", message


def _certificates(place: S3Server) -> Iterator[Finding]:
    if place.ca_bundle is None:
        return
    if (place.endpoint or "").startswith("http:"):
        yield "caBundle", "is without use: the endpoint is http, where no certificate is shown"
    if "PRIVATE KEY" in place.ca_bundle:
        yield "caBundle", "holds a private key; give certificates only"
    elif not rules_system.are_certificates(place.ca_bundle):
        yield "caBundle", "must be certificates in PEM, each between BEGIN CERTIFICATE and END CERTIFICATE"


def _workspace(request: BuildRequest) -> Iterator[Finding]:
    workspace = request.build.workspace
    if workspace and workspace.ephemeral_volume is not None and workspace.medium is Medium.MEMORY:
        yield "build.workspace.medium", "'memory' and ephemeralVolume exclude each other"


def _cache(request: BuildRequest) -> Iterator[Finding]:
    cache = request.build.cache
    if cache is not None and (cache.persistent_volume_claim is None) == (cache.host_path is None):
        yield "build.cache", "must hold exactly one of persistentVolumeClaim and hostPath"


RULES: Sequence[tuple[frozenset[str], Rule]] = (
    (frozenset({"packages"}), _packages_once),
    (frozenset({"packages", "excludePackages", "kernel"}), _not_both_wanted_and_excluded),
    (frozenset({"kernel"}), _command_line),
    (frozenset({"repositories"}), _repositories),
    (frozenset({"users"}), _users),
    (frozenset({"outputs", "disk", "mutability"}), _outputs),
    (frozenset({"installer", "outputs"}), _installer),
    (frozenset({"mutability", "immutable"}), _mutability),
    (frozenset({"immutable", "version", "outputs"}), update_can_be_trusted),
    (frozenset({"disk"}), rules_disk.shares),
    (frozenset({"disk", "files", "folders", "artifacts", "trees"}), rules_disk.given_content),
    (frozenset({"disk", "immutable"}), sizes_fit),
    (frozenset({"bootLoader", "mutability", "target", "secureBoot", "outputs"}), _boot_loader),
    (frozenset({"bootLoader", "kernel", "disk"}), _grub),
    (frozenset({"disk", "mutability", "bootLoader"}), rules_disk.partitions),
    (frozenset({"users", "groups"}), rules_system.accounts),
    (frozenset({"files", "folders", "trees"}), rules_system.files),
    (frozenset({"scripts"}), rules_system.scripts),
    (frozenset({"packageManager", "repositories", "artifacts", "files"}), rules_system.software),
    (frozenset({"systemd"}), rules_system.units),
    (frozenset({"selinux", "disk"}), rules_system.selinux),
    (frozenset({"kernel"}), rules_system.kernel_modules),
    (frozenset({"udevRules"}), rules_system.rule_files),
    (frozenset({"network"}), rules_system.network),
    (frozenset({"trust"}), rules_system.certificates),
)
"""Every rule with the top-level fields it reads."""

REQUEST_RULES: Sequence[tuple[str, RequestRule]] = (
    ("destination", _destination),
    ("inputs", _inputs),
    ("build", _workspace),
    ("build", _cache),
)
"""Every rule about what stands beside the image, with the top-level field it reads."""
