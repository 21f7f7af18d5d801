"""Fields that bring packages, by the names that the distribution has for them."""

from __future__ import annotations

from typing import Any

import pytest

from image_composer.provider import load_providers
from image_composer.spec.features import Feature, wanted_features
from image_composer.spec.rules_target import target_problems
from image_composer.steps.resolve import package_query
from support.specs import PARTITIONS, image_spec


def later(**fields: str) -> dict[str, Any]:
    data = {"label": "data", "type": "linux", "filesystem": "ext4", "mountPoint": "/data", **fields}
    return {"disk": {"partitions": [*PARTITIONS, data]}}


WISHES: dict[Feature, tuple[str, dict[str, Any]]] = {
    Feature.SUDO: ("users", {"users": [{"name": "me", "sudo": "passwordless"}]}),
    Feature.IMMUTABLE: ("mutability", {"mutability": "immutable"}),
    Feature.UPDATE: ("immutable.update", {"immutable": {"update": {"url": "https://x.example/", "verify": "none"}}}),
    Feature.FIREWALL: ("network.firewall.nftables", {"network": {"firewall": {"nftables": ""}}}),
    Feature.NETWORKMANAGER: ("network.backend", {"network": {"backend": "networkmanager"}}),
    Feature.NETPLAN: ("network.backend", {"network": {"backend": "netplan"}}),
    Feature.KEYMAP: ("locale.keymap", {"locale": {"keymap": "de-latin1"}}),
    Feature.LANGUAGE: ("locale.language", {"locale": {"language": "de_DE.UTF-8"}}),
    Feature.TRUST: ("trust.certificates", {"trust": {"certificates": {"corp": "..."}}}),
    Feature.CLOUD_INIT: ("cloudInit", {"cloudInit": {}}),
    Feature.XFS: ("disk.partitions[2].filesystem", later(filesystem="xfs")),
    Feature.BTRFS: ("disk.partitions[2].filesystem", later(filesystem="btrfs")),
    Feature.ENCRYPTION: ("disk.partitions[2].encrypt", later(encrypt="key-file")),
}


@pytest.mark.parametrize("feature", [feature for feature in Feature if feature in WISHES])
def test_a_field_wants_its_feature_and_no_other(feature: Feature) -> None:
    path, changes = WISHES[feature]
    assert wanted_features(image_spec(**changes)) == {feature: path}


def test_signed_updates_want_what_checks_signatures_too() -> None:
    spec = image_spec(immutable={"update": {"url": "https://x.example/"}})
    assert {*wanted_features(spec)} == {Feature.UPDATE, Feature.UPDATE_SIGNATURE}


def test_a_key_in_the_tpm_wants_what_reaches_the_tpm_too() -> None:
    spec = image_spec(**later(encrypt="tpm2"))
    assert {*wanted_features(spec)} == {Feature.ENCRYPTION, Feature.ENCRYPTION_TPM2}


def test_a_document_without_wishes_wants_none() -> None:
    assert wanted_features(image_spec(locale={"language": "C.UTF-8"})) == {}


@pytest.mark.parametrize(
    ("distribution", "release", "feature", "expected"),
    [
        ("debian", "12", Feature.LANGUAGE, {"locales"}),
        ("debian", "13", Feature.KEYMAP, {"console-setup"}),
        ("elxr", "12", Feature.FIREWALL, {"nftables"}),
        ("azurelinux", "3.0", Feature.LANGUAGE, {"glibc-locales-all"}),
        ("azurelinux", "3.0", Feature.KEYMAP, {"kbd"}),
        ("debian", "12", Feature.NETWORKMANAGER, {"network-manager"}),
        ("elxr", "12", Feature.NETPLAN, {"netplan.io"}),
        ("emt", "3.0", Feature.NETPLAN, {"netplan", "systemd-networkd"}),
        ("debian", "12", Feature.BTRFS, {"btrfs-progs"}),
        ("debian", "13", Feature.ENCRYPTION, {"cryptsetup-bin", "systemd-cryptsetup"}),
        ("azurelinux", "3.0", Feature.XFS, {"xfsprogs"}),
        ("emt", "3.0", Feature.TRUST, {"ca-certificates"}),
    ],
)
def test_its_packages_come_by_themselves(distribution: str, release: str, feature: Feature, expected: set[str]) -> None:
    target = {"distribution": distribution, "release": release}
    manifest = load_providers()[distribution].manifest(release)
    facts = next(iter(manifest.architectures.values()))
    wishes = image_spec(target=target, **WISHES[feature][1])
    assert expected <= {*package_query(wishes, manifest, facts).names}
    assert target_problems(wishes, manifest, "") == []


@pytest.mark.parametrize(
    "feature", [Feature.FIREWALL, Feature.NETWORKMANAGER, Feature.KEYMAP, Feature.LANGUAGE, Feature.ENCRYPTION]
)
def test_where_their_names_are_not_known_the_field_is_refused(feature: Feature) -> None:
    path, changes = WISHES[feature]
    spec = image_spec(target={"distribution": "emt", "release": "3.0"}, **changes)
    [problem] = target_problems(spec, load_providers()["emt"].manifest("3.0"), "spec.image")
    assert str(problem) == (
        f"spec.image.{path}: needs packages, and which of Edge Microvisor Toolkit 3.0 those are is not known"
    )


def test_defaults_yield_to_what_a_field_brings() -> None:
    """Azure Linux's systemd-networkd would be there beside NetworkManager, otherwise."""
    manifest = load_providers()["azurelinux"].manifest("3.0")
    facts = next(iter(manifest.architectures.values()))
    wishes = image_spec(target={"distribution": "azurelinux", "release": "3.0"}, network={"backend": "networkmanager"})
    names = package_query(wishes, manifest, facts).names
    assert "NetworkManager" in names
    assert "systemd-networkd" not in names
