"""What vouches for a running image: a root that never changes, where its next version comes from, Secure Boot."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from image_composer.spec.base import (
    SpecModel,
)
from image_composer.spec.certificate import check_signing_certificate


class Mutability(StrEnum):
    """Whether the running system can change its own files."""

    MUTABLE = "mutable"
    IMMUTABLE = "immutable"


class EtcChanges(StrEnum):
    """What becomes of changes to /etc of an immutable image."""

    PERSISTENT = "persistent"
    """They are kept in /var."""

    VOLATILE = "volatile"
    """They are gone at the next start, but for the machine's id and its SSH host keys."""


class UpdateTrust(StrEnum):
    """Why a machine believes what it downloads."""

    SIGNATURE = "signature"
    """SHA256SUMS has a signature, SHA256SUMS.gpg, by one of the keys."""

    NONE = "none"
    """Whoever serves the URL is believed; it must be https."""


class Update(SpecModel):
    """Where a running machine gets the image's next version from. It goes into a second slot of the disk."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=1024)]
    """Folder that holds the newest version: the outputs `root`, `root-verity` and `uki` with their SHA256SUMS."""

    verify: UpdateTrust = UpdateTrust.SIGNATURE
    """Why a machine believes what it downloads. `none` must be asked for."""

    key: Annotated[str, StringConstraints(max_length=65536)] | None = None
    """OpenPGP public keys that may sign SHA256SUMS, ASCII-armoured; no other key is believed."""


class Immutable(SpecModel):
    """How a root that can't be changed is made."""

    etc: EtcChanges = EtcChanges.PERSISTENT
    """What becomes of changes to /etc."""

    update: Update | None = None
    """Gives the disk a second slot for the root, and the machine what it needs to fill it (systemd-sysupdate); no
    second slot when absent. Name and disk layout must stay the same from one version to the next."""


class Enrolment(StrEnum):
    """Whether the image brings its certificate into the firmware of a machine that is in setup mode."""

    NONE = "none"
    MANUAL = "manual"
    """It can be chosen in the boot menu."""

    FORCE = "force"
    """At the first start, after 15 seconds in which a key can be pressed."""


class SecureBoot(SpecModel):
    """Signs what starts the machine, so that firmware with this certificate starts it and nothing else.

    The private key never stands in a document: `spec.secureBoot.keySecretRef` names a Secret that holds it, and
    `--secure-boot-key` a file.
    """

    certificate: Annotated[str, StringConstraints(max_length=16384), AfterValidator(check_signing_certificate)]
    """Certificate of the key that signs, in PEM: RSA of 2048 to 4096 bits."""

    enroll: Enrolment = Enrolment.NONE
    """Whether the EFI system partition brings files by which a machine in setup mode takes the certificate as its own
    (PK, KEK and db), in place of all others."""
