"""What the running system can install, what of packages is left out, and what cloud-init is told."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from image_composer.manifest import Family
from image_composer.root.customise.changes import Changes
from image_composer.root.customise.cloud_init import cloud_init_changes
from image_composer.root.customise.software import manager_changes, minimize_changes, removal_operations
from image_composer.spec.image import Repository
from image_composer.spec.software import CloudInit, Minimize, PackageManager

REPOSITORY: dict[str, Any] = {"id": "gateway", "url": "https://packages.example.org/x", "key": "-----BEGIN...\n"}


def repository(**changes: Any) -> Repository:
    return Repository.model_validate({**REPOSITORY, **changes})


def written(changes: Changes) -> dict[str, str]:
    """Give what is written, by path."""
    return {
        one["path"]: base64.b64decode(one["content"]).decode() for one in changes.operations if one["kind"] == "write"
    }


def removed(changes: Changes) -> list[str]:
    return [one["path"] for one in changes.operations if one["kind"].startswith("remove")]


def test_the_distributions_repositories_stay_unless_something_else_is_asked_for() -> None:
    assert manager_changes(PackageManager(), [repository(suite="stable")], Family.DEB) == Changes()


def test_apt_is_told_of_the_documents_repositories_with_their_keys() -> None:
    wanted = PackageManager.model_validate({"sources": "both"})
    found = manager_changes(wanted, [repository(suite="stable", components=["main", "extra"])], Family.DEB)
    assert removed(found) == []
    assert written(found) == {
        "/etc/apt/keyrings/gateway.asc": "-----BEGIN...\n",
        "/etc/apt/sources.list.d/gateway.sources": (
            "Types: deb\nURIs: https://packages.example.org/x\nSuites: stable\nComponents: main extra\n"
            "Signed-By: /etc/apt/keyrings/gateway.asc\n"
        ),
    }


def test_a_flat_repository_has_no_components() -> None:
    wanted = PackageManager.model_validate({"sources": "document"})
    found = manager_changes(wanted, [repository(suite="./")], Family.DEB)
    assert "Components" not in written(found)["/etc/apt/sources.list.d/gateway.sources"]
    assert removed(found) == ["/etc/apt/sources.list.d/*", "/etc/apt/sources.list"]


@pytest.mark.parametrize(
    ("signed", "checks"),
    [
        (None, "gpgcheck=1\nrepo_gpgcheck=1\n"),
        ("metadata", "gpgcheck=0\nrepo_gpgcheck=1\n"),
        ("packages", "gpgcheck=1\nrepo_gpgcheck=0\n"),
    ],
)
def test_what_must_be_signed_for_the_build_must_be_for_the_machine(signed: str | None, checks: str) -> None:
    wanted = PackageManager.model_validate({"sources": "both"})
    found = manager_changes(wanted, [repository(signed=signed, packages=["gateway-*"])], Family.RPM)
    text = written(found)["/etc/yum.repos.d/gateway.repo"]
    assert checks in text
    assert "includepkgs=gateway-*\n" in text
    assert "gpgkey=file:///etc/pki/rpm-gpg/gateway\n" in text


@pytest.mark.parametrize(("priority", "theirs"), [(1, 99), (500, 99), (600, 89), (1000, 49)])
def test_a_higher_priority_of_ours_is_a_lower_number_of_dnfs(priority: int, theirs: int) -> None:
    wanted = PackageManager.model_validate({"sources": "both"})
    found = manager_changes(wanted, [repository(priority=priority)], Family.RPM)
    assert f"priority={theirs}\n" in written(found)["/etc/yum.repos.d/gateway.repo"]


def test_packages_are_held_by_dpkg_itself() -> None:
    found = manager_changes(PackageManager(holds=["linux-image-amd64"]), [], Family.DEB)
    assert list(written(found).values()) == ["linux-image-amd64 hold\n"]
    assert "dpkg --set-selections" in found.commands[0][2]


def test_a_removed_package_manager_leaves_its_database() -> None:
    paths = [one["path"] for one in removal_operations(PackageManager(remove=True), Family.DEB)]
    assert "/usr/bin/dpkg*" in paths
    assert not any("/var/lib/dpkg" in path for path in paths)
    assert removal_operations(PackageManager(), Family.DEB) == []


def test_later_updates_leave_out_what_the_image_leaves_out() -> None:
    found = minimize_changes(Minimize(documentation=True, keep_locales=["pt_BR"]), Family.DEB)
    text = written(found)["/etc/dpkg/dpkg.cfg.d/90-image"].splitlines()
    assert "path-exclude=/usr/share/man/*" in text
    assert text.index("path-exclude=/usr/share/doc/*") < text.index("path-include=/usr/share/doc/*/copyright")
    assert "path-include=/usr/share/locale/pt/*" in text
    rpm = minimize_changes(Minimize(documentation=True, keep_locales=["pt_BR"]), Family.RPM)
    assert written(rpm)["/etc/rpm/macros.90-image"] == "%_excludedocs 1\n%_install_langs pt_BR\n"


def test_nothing_is_left_out_unless_asked_for() -> None:
    assert minimize_changes(Minimize(), Family.DEB) == Changes()


def test_cloud_init_looks_into_the_image_and_nowhere_else() -> None:
    found = cloud_init_changes(CloudInit(user_data="#cloud-config\n"), "edge", "1.0")
    assert written(found) == {
        "/etc/cloud/cloud.cfg.d/90-image.cfg": "datasource_list: [NoCloud, None]\n",
        "/var/lib/cloud/seed/nocloud/user-data": "#cloud-config\n",
        "/var/lib/cloud/seed/nocloud/meta-data": "instance-id: edge-1.0\n",
    }
    assert {one["mode"] for one in found.operations if "seed" in one["path"]} == {0o600}
    assert cloud_init_changes(None, "edge", "1.0") == Changes()
