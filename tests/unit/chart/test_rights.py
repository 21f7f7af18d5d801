"""What the chart's pods and roles may: no more than needed, whatever the values say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from image_composer_operator.names import LABEL_MANAGED_BY, LABEL_NAME, MANAGED_BY
from support import golden
from support.chart import NAMESPACE, PROJECT, RELEASE, Object, objects, only

pytestmark = pytest.mark.cluster

VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))

NEEDED = {
    "imagebuilds.imagecomposer.dev": "get list watch patch delete",
    "imagebuilds.imagecomposer.dev/status": "patch",
    "imagebuilds.imagecomposer.dev/finalizers": "update",
    "jobs.batch": "get list watch create delete",
    "pods": "list watch",
    "events": "list create",
    "configmaps": "get",
}
"""What operator/image_composer_operator/cluster.py calls."""

FOR_THE_LABEL = {"namespaces": "get"}

WHY = {
    "imagebuilds.imagecomposer.dev": "what is asked for; `delete` for `ttlAfterFinished`, `patch` for the finalizer",
    "imagebuilds.imagecomposer.dev/status": "what became of it",
    "imagebuilds.imagecomposer.dev/finalizers": "Jobs that are deleted with their ImageBuild",
    "jobs.batch": "one a build, one for removing what was published",
    "pods": "how far a build is",
    "events": "why a pod does not start; what happens to an ImageBuild",
    "configmaps": "lock files (`lockRef`), documents that images [extend](extends.md)",
    "namespaces": "the label `imagecomposer.dev/builds`, when it is required",
}


def rights(role: Object) -> dict[str, str]:
    """Give a role's verbs by resource."""
    given: dict[str, str] = {}
    for rule in role["rules"]:
        assert not set(rule) - {"apiGroups", "resources", "resourceNames", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                kind, slash, part = resource.partition("/")
                name = f"{kind}.{group}{slash}{part}" if group else resource
                assert name not in given
                given[name] = " ".join(rule["verbs"])
    return given


def pods(found: list[Object]) -> list[Object]:
    return [
        one["spec"]["template"]["spec"] if one["kind"] == "Deployment" else one["spec"]
        for one in found
        if one["kind"] in ("Deployment", "Pod")
    ]


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
def test_pods_meet_the_restricted_pod_security_standard(values: Path) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    found = pods(objects(values))
    assert len(found) == 2
    for pod in found:
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert not {"sysctls", "seLinuxOptions"} & set(pod["securityContext"])
        assert all(set(volume) - {"name"} <= {"configMap", "emptyDir"} for volume in pod.get("volumes", []))
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "privileged" not in context
            assert not any("hostPort" in port for port in container.get("ports", []))
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]
        assert not pod.get("initContainers")


def test_only_the_operator_gets_a_token() -> None:
    found = objects()
    assert only(found, "ServiceAccount")["automountServiceAccountToken"] is False
    assert only(found, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
    assert only(found, "Pod")["spec"]["automountServiceAccountToken"] is False


def test_in_the_whole_cluster_the_operator_may_what_it_needs() -> None:
    found = objects()
    [role] = [one for one in found if one["kind"] == "ClusterRole" and one["metadata"]["name"] == RELEASE]
    assert rights(role) == {**NEEDED, **FOR_THE_LABEL}
    assert not [one for one in found if one["kind"] in ("Role", "RoleBinding")]
    binding = only(found, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == RELEASE
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}]


@pytest.mark.parametrize("label", [True, False])
def test_with_namespaces_given_the_operator_has_no_right_beyond_them(label: bool) -> None:
    settings = {"namespaces": ["edge", "other"], "requireNamespaceLabel": label}
    found = objects(values={"settings": settings})
    operator = [one for one in found if one["metadata"]["name"] == RELEASE]
    assert not [one for one in operator if one["kind"].startswith("ClusterRole")]
    roles = [one for one in operator if one["kind"] == "Role"]
    bindings = [one for one in operator if one["kind"] == "RoleBinding"]
    for one in (roles, bindings):
        assert [role["metadata"]["namespace"] for role in one] == ["edge", "other"]
    for role in roles:
        assert rights(role) == {**NEEDED, **(FOR_THE_LABEL if label else {})}
        named = [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule]
        assert named == ([[role["metadata"]["namespace"]]] if label else [])
    assert all(binding["roleRef"] == {**binding["roleRef"], "kind": "Role"} for binding in bindings)


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.stem)
def test_no_role_reaches_everything_or_secrets(values: Path) -> None:
    for role in objects(values):
        for rule in role.get("rules", []):
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not any("*" in word for word in words)
            assert not words & {"secrets", "impersonate", "escalate", "bind", "pods/exec", "serviceaccounts/token"}


def test_users_of_the_clusters_roles_get_the_right_part() -> None:
    roles = {one["metadata"]["name"]: one for one in objects() if one["kind"] == "ClusterRole"}

    def users(name: str) -> set[str]:
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        return {key.removeprefix(prefix) for key in roles[name]["metadata"]["labels"] if key.startswith(prefix)}

    assert users("image-composer-view") == {"view", "edit", "admin"}
    assert users("image-composer-edit") == {"edit", "admin"}
    assert users(RELEASE) == set()
    assert rights(roles["image-composer-view"])["imagebuilds.imagecomposer.dev"] == "get list watch"
    # The status is the operator's.
    assert set(rights(roles["image-composer-edit"])) == {"imagebuilds.imagecomposer.dev"}


def test_without_roles_none_are_made() -> None:
    kinds = {one["kind"] for one in objects(values={"rbac": {"create": False, "aggregate": False}})}
    assert not kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def test_the_documentation_lists_these_rights() -> None:
    [role] = [one for one in objects() if one["kind"] == "ClusterRole" and one["metadata"]["name"] == RELEASE]
    rows = [
        f"| `{resource}` | {verbs.replace(' ', ', ')} | {WHY[resource]} |" for resource, verbs in rights(role).items()
    ]
    table = "\n".join(["| Resource | Verbs | What for |", "|----------|-------|----------|", *rows, ""])
    golden.check_part(PROJECT / "docs/operator.md", "rights", table)


def test_builder_pods_are_cut_off_from_everything_but_names_mirrors_and_buckets() -> None:
    values: dict[str, Any] = {"networkPolicy": {"builders": {"enabled": True, "namespaces": ["edge"], "ports": [443]}}}
    policy = only(objects(values=values), "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == {LABEL_NAME: "image-composer-builder", LABEL_MANAGED_BY: MANAGED_BY}
    assert policy["ingress"] == []
    assert sorted({port["port"] for rule in policy["egress"] for port in rule["ports"]}) == [53, 443]
