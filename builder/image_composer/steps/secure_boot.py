"""Secure Boot: the disk is made without an EFI system partition's content, and `attest`, which has the key, brings it.

What is signed is decided without the key, so that nothing of the disk depends on it but the signatures themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from image_composer.digest import blanked_sha256, file_sha256
from image_composer.disk.esp import EspFile, FatParameters, make_fat
from image_composer.disk.layout import PlannedPartition
from image_composer.disk.sparse import copy_sparse
from image_composer.signing import enrolment, program
from image_composer.signing.key import SigningKey, no_key, signing_key
from image_composer.spec.certificate import Certificate, read_pem
from image_composer.spec.trusted import Enrolment, SecureBoot
from image_composer.steps.build import Build
from image_composer.workspace import AssembledRoot, FinishedDisk, PlannedEsp, PlannedFile

LOADER_CONFIGURATION = PurePosixPath("loader/loader.conf")
KEYS = PurePosixPath("loader/keys/auto")
"""Where systemd-boot looks for what it may enroll; it enrolls the set called `auto` by itself when told so."""

UNSIGNED_DISK = "disk.raw with an empty EFI system partition"


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and with what."""

    certificate: Certificate
    unsigned: dict[str, str]
    """SHA-256 of what was there before, by what it is: this much can be made anew by who has no key."""


def prepared_files(files: Sequence[EspFile], wanted: SecureBoot | None) -> list[EspFile]:
    """Give the files of the EFI system partition with room for signatures, and for what brings the certificate.

    Args:
        files: without signatures.
        wanted: what the spec asks for.
    """
    if wanted is None:
        return [*files]
    if wanted.enroll is Enrolment.NONE:
        return [_with_room(file) for file in files]
    setting = f"secure-boot-enroll {wanted.enroll}\n".encode()
    told = [_with_setting(file, setting) for file in files]
    keys = [EspFile(KEYS / f"{name}.auth", b"", enrolment.ROOM) for name in enrolment.VARIABLES]
    return [*map(_with_room, told), *keys]


def planned_esp(esp: PlannedPartition, files: Sequence[EspFile], workspace: Path) -> PlannedEsp:
    """Give what `attest` needs to know to fill the EFI system partition."""
    return PlannedEsp(
        offset=esp.offset,
        size=esp.size,
        uuid=esp.filesystem_uuid,
        label=esp.filesystem_label,
        files=[_planned(file, workspace) for file in files],
    )


def sign_disk(build: Build, assembled: AssembledRoot) -> Signed | None:
    """Sign what starts the machine, and put it onto the disk; nothing to do for a spec that doesn't ask for it.

    Raises:
        SigningError: there is no key, or it is the wrong one.
        DiskError, ToolError: something can't be signed or written.
    """
    workspace, wanted = build.workspace, build.spec.image.secure_boot
    disk = workspace.read(workspace.finished_disk, FinishedDisk)
    shutil.rmtree(workspace.signed, ignore_errors=True)
    if wanted is None or disk.esp is None:
        return None
    if build.settings.secure_boot_key is None:
        raise no_key(build.spec.field("secureBoot"))
    workspace.signed.mkdir()
    certificate = read_pem(wanted.certificate)
    key = signing_key(build.settings.secure_boot_key, certificate, workspace.signed, tools=build.runner)
    build.reporter.info(f"signing for Secure Boot as {certificate.subject}")
    unsigned = blanked_sha256(workspace.disk, disk.esp.offset, disk.esp.size)  # may be filled by a former run
    signer = _Signer(build, key, signing_time(certificate, assembled.epoch))
    files = [signer.finished(planned) for planned in disk.esp.files]
    image = workspace.signed / "esp.img"
    parameters = FatParameters(disk.esp.size, disk.esp.uuid, disk.esp.label, assembled.epoch)
    make_fat(files, image, parameters, tools=build.runner)
    copy_sparse(image, workspace.disk, disk.esp.offset)
    image.unlink()
    return Signed(certificate, {UNSIGNED_DISK: unsigned, **signer.unsigned})


def signing_time(certificate: Certificate, epoch: int) -> datetime:
    """Give the time that signatures say: that of the image, but none at which the certificate was not valid yet."""
    return max(datetime.fromtimestamp(epoch, UTC), certificate.not_before)


def program_signer(build: Build, assembled: AssembledRoot) -> Callable[[Path, Path], None] | None:
    """Give what signs further EFI programs, once the disk is signed; None for a spec that doesn't ask for it.

    Raises:
        SigningError: the key is the wrong one.
    """
    wanted, file = build.spec.image.secure_boot, build.settings.secure_boot_key
    if wanted is None or file is None:
        return None
    certificate = read_pem(wanted.certificate)
    key = signing_key(file, certificate, build.workspace.signed, tools=build.runner)
    signed_at = signing_time(certificate, assembled.epoch)

    def sign(source: Path, destination: Path) -> None:
        program.sign_program(source, destination, key, signed_at, tools=build.runner)

    return sign


class _Signer:
    """Finishes files of the EFI system partition."""

    def __init__(self, build: Build, key: SigningKey, signed_at: datetime) -> None:
        self.unsigned: dict[str, str] = {}
        self._workspace, self._tools, self._key, self._signed_at = build.workspace, build.runner, key, signed_at
        self._done: set[str] = set()

    def finished(self, planned: PlannedFile) -> EspFile:
        """Give a file as it goes onto the disk."""
        destination = PurePosixPath(planned.destination)
        if planned.source is not None:
            source = self._workspace.folder / planned.source
            return EspFile(destination, self._program(source, destination) if _is_program(destination) else source)
        if destination.parent == KEYS:
            content = enrolment.enrolment_file(destination.stem, self._key, self._signed_at, tools=self._tools)
            return EspFile(destination, content)
        return EspFile(destination, planned.content)

    def _program(self, source: Path, destination: PurePosixPath) -> Path:
        signed = self._workspace.signed / source.name
        if signed.name not in self._done:  # the boot loader is there twice
            program.sign_program(source, signed, self._key, self._signed_at, tools=self._tools)
            self._done.add(signed.name)
        self.unsigned[f"/{destination} without its signature"] = file_sha256(source)
        return signed


def _is_program(destination: PurePosixPath) -> bool:
    return destination.suffix.lower() == ".efi"


def _with_room(file: EspFile) -> EspFile:
    return replace(file, room=program.ROOM) if _is_program(file.destination) else file


def _with_setting(file: EspFile, setting: bytes) -> EspFile:
    if file.destination != LOADER_CONFIGURATION or not isinstance(file.source, bytes):
        return file
    return replace(file, source=file.source + setting)


def _planned(file: EspFile, workspace: Path) -> PlannedFile:
    destination = "/".join(file.parts)
    if isinstance(file.source, bytes):
        return PlannedFile.model_construct(destination=destination, source=None, content=file.source)
    return PlannedFile(destination=destination, source=str(file.source.relative_to(workspace)))
