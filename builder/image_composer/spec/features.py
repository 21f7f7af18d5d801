"""What a document wants that needs packages of its own: which those are, the distribution's manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from image_composer.spec.accounts import Sudo
from image_composer.spec.disk import Encrypt, Filesystem
from image_composer.spec.image import ImageSpec
from image_composer.spec.network import NetworkBackend
from image_composer.spec.trusted import Mutability, UpdateTrust

if TYPE_CHECKING:
    from image_composer.manifest import Manifest

BUILT_IN_LANGUAGES = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})
"""Languages that the C library has without any file."""


class Feature(StrEnum):
    """Something that fields of the spec bring packages for."""

    SUDO = "sudo"
    IMMUTABLE = "immutable"
    UPDATE = "update"
    UPDATE_SIGNATURE = "update-signature"
    FIREWALL = "firewall"
    NETWORKMANAGER = "networkmanager"
    NETPLAN = "netplan"
    KEYMAP = "keymap"
    LANGUAGE = "language"
    TRUST = "trust"
    CLOUD_INIT = "cloud-init"
    ISO = "iso"
    XFS = "xfs"
    BTRFS = "btrfs"
    ENCRYPTION = "encryption"
    ENCRYPTION_TPM2 = "encryption-tpm2"


BY_PACKAGES = frozenset(
    {
        *(Feature.FIREWALL, Feature.NETWORKMANAGER, Feature.NETPLAN),
        *(Feature.KEYMAP, Feature.LANGUAGE, Feature.TRUST, Feature.CLOUD_INIT),
        *(Feature.XFS, Feature.BTRFS, Feature.ENCRYPTION, Feature.ENCRYPTION_TPM2),
    }
)
"""What can't be had where nobody knows its packages; the programs of the others are in some distributions' base."""


def wanted_features(spec: ImageSpec) -> Mapping[Feature, str]:
    """Give what a document wants, with the path of the field that says so."""
    language, update = spec.locale.language, spec.immutable.update
    backend = spec.network.backend
    wanted = {
        Feature.SUDO: ("users", any(user.sudo is not Sudo.NONE for user in spec.users)),
        Feature.IMMUTABLE: ("mutability", spec.mutability is Mutability.IMMUTABLE),
        Feature.UPDATE: ("immutable.update", update is not None),
        Feature.UPDATE_SIGNATURE: (
            "immutable.update.verify",
            update is not None and update.verify is UpdateTrust.SIGNATURE,
        ),
        Feature.FIREWALL: ("network.firewall.nftables", spec.network.firewall.nftables is not None),
        Feature.NETWORKMANAGER: ("network.backend", backend is NetworkBackend.NETWORKMANAGER),
        Feature.NETPLAN: ("network.backend", backend is NetworkBackend.NETPLAN),
        Feature.KEYMAP: ("locale.keymap", spec.locale.keymap is not None),
        Feature.LANGUAGE: ("locale.language", language is not None and language not in BUILT_IN_LANGUAGES),
        Feature.CLOUD_INIT: ("cloudInit", spec.cloud_init is not None),
        Feature.ISO: ("outputs", spec.has_installer),
        Feature.TRUST: ("trust.certificates", bool(spec.trust.certificates)),
    }
    found = {feature: path for feature, (path, is_wanted) in wanted.items() if is_wanted}
    return {**found, **_partition_features(spec)}


def _partition_features(spec: ImageSpec) -> dict[Feature, str]:
    found: dict[Feature, str] = {}
    for number, partition in enumerate(spec.disk.partitions):
        path = f"disk.partitions[{number}]"
        needs = {
            Feature.XFS: ("filesystem", partition.filesystem is Filesystem.XFS),
            Feature.BTRFS: ("filesystem", partition.filesystem is Filesystem.BTRFS),
            Feature.ENCRYPTION: ("encrypt", partition.encrypt is not None),
            Feature.ENCRYPTION_TPM2: ("encrypt", partition.encrypt is Encrypt.TPM2),
        }
        for feature, (field, is_wanted) in needs.items():
            if is_wanted:
                found.setdefault(feature, f"{path}.{field}")
    return found


def unknown_features(spec: ImageSpec, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Say what a document wants whose packages the manifest doesn't name."""
    for feature, path in wanted_features(spec).items():
        if feature in BY_PACKAGES and feature not in manifest.feature_packages:
            yield path, f"needs packages, and which of {manifest.title} those are is not known"
