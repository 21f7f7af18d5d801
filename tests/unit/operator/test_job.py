"""The manifests of builder pods."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_composer.errors import SpecError
from image_composer.pod.message import CONTAINERS
from image_composer_operator.job import build_job, cleanup_job
from image_composer_operator.model import make_plan, read_build
from image_composer_operator.settings import Defaults, OperatorSettings, check_settings
from support import golden
from support.builds import S3, Body, build, image

SECRET = {"s3": {**S3["s3"], "credentialsSecretRef": {"name": "s3"}}}
CERTIFICATE = yaml.safe_load((files("image_composer.spec") / "example.yaml").read_text())["spec"]["image"]["secureBoot"]
SIGNED: Body = {
    "destination": SECRET,
    "image": image(secureBoot=CERTIFICATE),
    "secureBoot": {"keySecretRef": {"name": "signing"}},
}
EVERYTHING: Body = {
    **SIGNED,
    "image": {
        **SIGNED["image"],
        "files": [
            {"path": "/etc/gateway/token", "secretRef": {"name": "gateway", "key": "token"}},
            {"path": "/etc/gateway/rules", "configMapRef": {"name": "gateway", "key": "rules"}},
            {"path": "/srv/model", "url": "s3://models/gateway", "sha256": "0" * 64},
        ],
        "trees": [{"name": "pages", "path": "/srv", "configMapRef": {"name": "pages"}}],
        "scripts": [{"name": "audit", "configMapRef": {"name": "gateway", "key": "audit.sh"}}],
    },
    "inputs": {"s3": {"endpoint": "http://inputs.example:9000", "credentialsSecretRef": {"name": "inputs"}}},
    "lockRef": {"name": "locks", "key": "edge.json"},
    "build": {
        "timeout": "90m",
        "retries": 4,
        "resources": {"assemble": {"requests": {"cpu": "1"}, "limits": {"memory": "4Gi", "ephemeralStorage": "20Gi"}}},
        "workspace": {"size": "30Gi", "ephemeralVolume": {"storageClassName": "fast"}},
        "cache": {"persistentVolumeClaim": "packages"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "builds", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "low",
        "serviceAccountName": "uploader",
        "imagePullSecrets": ["registry"],
        "queueName": "images",
        "labels": {"team": "edge"},
    },
}
CLUSTER = check_settings(
    {
        "builderImage": "registry.example/builder:1",
        "mirrors": {"debian": "https://mirror.example/debian", "debian-security": "https://mirror.example/security"},
        "proxies": {"httpsProxy": "http://proxy.example:3128"},
        "keys": {"debian-security": "-----BEGIN PGP PUBLIC KEY BLOCK-----"},
        "trustedCa": "-----BEGIN CERTIFICATE-----",
        "defaults": {
            "build": {
                "timeout": "30m",
                "resources": {
                    "assemble": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                    "image": {"limits": {"cpu": "2"}},
                },
                "nodeSelector": {"pool": "builds"},
            }
        },
    }
)


GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, manifest: Body) -> None:
    """Hold a manifest against its golden file."""
    golden.check(GOLDEN / name, yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=False, width=120))


def made(settings: OperatorSettings = CLUSTER, **spec: Any) -> Body:
    """Give the Job of an ImageBuild."""
    read = read_build(build(**spec))
    return build_job(read, make_plan(read, settings.defaults, None), settings)


def containers(job: Body) -> dict[str, Body]:
    """Give the containers of a Job's pod by name."""
    pod = job["spec"]["template"]["spec"]
    return {each["name"]: each for each in [*pod["initContainers"], *pod["containers"]]}


def holders(job: Body, volume: str, variable: str = "") -> set[str]:
    """Give the containers that see a volume, or are told of it by a variable."""
    return {
        name
        for name, container in containers(job).items()
        if any(mount["name"] == volume for mount in container["volumeMounts"])
        or any(entry["name"] == variable for entry in container["env"])
    }


@pytest.mark.parametrize(("name", "spec"), [("everything", EVERYTHING), ("small", {"destination": SECRET})])
def test_the_job_is_as_in_its_golden_file(name: str, spec: Body) -> None:
    check_golden(f"job-{name}.yaml", made(**spec))


def test_the_cleanup_job_is_as_in_its_golden_file() -> None:
    read = read_build(build(destination=SECRET))
    plan = make_plan(read, Defaults(), None)
    check_golden("job-cleanup.yaml", cleanup_job(read, plan.destination, CLUSTER))


def test_stages_run_in_order_after_the_one_that_keeps_the_log() -> None:
    assert list(containers(made())) == [
        "log", "validate", "preflight", "resolve", "fetch", "assemble", "image", "attest", "verify", "publish"
    ]  # fmt: skip
    assert containers(made())["log"]["restartPolicy"] == "Always"


def test_the_containers_share_what_the_kubelet_keeps_of_messages() -> None:
    assert len(containers(made(**EVERYTHING))) <= CONTAINERS


@pytest.mark.parametrize("spec", [{"destination": SECRET}, EVERYTHING])
def test_only_what_assembles_is_privileged(spec: Body) -> None:
    for name, container in containers(made(**spec)).items():
        security = container["securityContext"]
        if name in ("assemble", "image"):
            assert security["privileged"] is True
            continue
        assert security["privileged"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["allowPrivilegeEscalation"] is False, name
        assert (security["runAsUser"] == 0) == (name in ("resolve", "fetch", "prepare")), name


@pytest.mark.parametrize("spec", [{"destination": SECRET}, EVERYTHING])
def test_credentials_are_seen_where_the_bucket_is_reached_and_nowhere_else(spec: Body) -> None:
    assert holders(made(**spec), "s3") == {"log", "preflight", "publish"}


def test_credentials_of_inputs_are_seen_where_addresses_are_signed_and_nowhere_else() -> None:
    job = made(**EVERYTHING)
    assert holders(job, "s3-inputs", "IMAGE_COMPOSER_S3_INPUTS_CREDENTIALS") == {"preflight"}
    [volume] = [each for each in job["spec"]["template"]["spec"]["volumes"] if each["name"] == "s3-inputs"]
    assert {source["secret"]["name"] for source in volume["projected"]["sources"]} == {"inputs"}
    document = json.loads(job["spec"]["template"]["metadata"]["annotations"]["imagecomposer.dev/document"])
    assert document["spec"]["inputs"]["s3"]["endpoint"] == "http://inputs.example:9000"


def test_a_server_of_inputs_without_a_secret_is_asked_as_the_pod_itself() -> None:
    job = made(**{**EVERYTHING, "inputs": {"s3": {"endpoint": "http://inputs.example:9000"}}})
    assert "s3-inputs" not in json.dumps(job)


def test_a_folder_beside_the_document_is_refused_where_there_is_none() -> None:
    tree = {"name": "site", "path": "/srv", "folder": "site"}
    with pytest.raises(
        SpecError, match=r"spec\.image\.trees\[0\]\.folder: is beside the document, where only a laptop"
    ):
        made(image=image(trees=[tree]))


def test_secrets_that_become_files_are_seen_where_they_are_written_and_nowhere_else() -> None:
    job = made(**EVERYTHING)
    assert holders(job, "secret-0") == {"assemble"}
    places = {one["mountPath"] for one in containers(job)["assemble"]["volumeMounts"]}
    assert places >= {"/inputs/configmaps/gateway", "/inputs/secrets/gateway"}


@pytest.mark.parametrize("spec", [SIGNED, EVERYTHING])
def test_the_key_is_seen_where_the_disk_is_signed_and_nowhere_else(spec: Body) -> None:
    job = made(**spec)
    assert holders(job, "secure-boot", "IMAGE_COMPOSER_SECURE_BOOT_KEY") == {"attest"}
    assert "privileged" not in json.dumps(containers(job)["attest"]["securityContext"]["capabilities"])
    [volume] = [each for each in job["spec"]["template"]["spec"]["volumes"] if "signing" in json.dumps(each)]
    assert [item["key"] for item in volume["secret"]["items"]] == ["tls.key"]


def test_signatures_without_a_key_are_refused_before_anything_is_built() -> None:
    with pytest.raises(SpecError, match=r"spec\.secureBoot\.keySecretRef: is missing"):
        made(image=SIGNED["image"])


def test_another_secret_is_another_run() -> None:
    one, other = (made(**{**SIGNED, "secureBoot": {"keySecretRef": {"name": name}}}) for name in ("a", "b"))
    assert one["metadata"]["name"] != other["metadata"]["name"]
    inputs = [{"s3": {"credentialsSecretRef": {"name": name}}} for name in ("a", "b")]
    one, other = (made(**{**EVERYTHING, "inputs": each}) for each in inputs)
    assert one["metadata"]["name"] != other["metadata"]["name"]


def test_no_container_sees_the_api() -> None:
    pod = made(**EVERYTHING)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not any("serviceAccountToken" in json.dumps(volume) for volume in pod["volumes"])


def test_a_users_word_counts_before_the_operators() -> None:
    job = made(**EVERYTHING)
    assert job["spec"]["activeDeadlineSeconds"] == 90 * 60
    resources = containers(job)["assemble"]["resources"]
    assert resources["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert resources["limits"] == {"memory": "4Gi", "ephemeral-storage": "20Gi"}
    assert containers(job)["image"]["resources"] == {"limits": {"cpu": "2"}}
    node = job["spec"]["template"]["spec"]["nodeSelector"]
    assert (node["pool"], node["disk"], node["kubernetes.io/arch"]) == ("builds", "ssd", "amd64")


def test_what_the_user_has_not_said_gives_way_to_a_limit_or_request_of_his() -> None:
    small = containers(made(build={"resources": {"assemble": {"limits": {"memory": "64Mi"}}}}))
    assert small["assemble"]["resources"] == {
        "requests": {"cpu": "500m", "memory": "64Mi"},
        "limits": {"memory": "64Mi"},
    }
    large = containers(made(build={"resources": {"image": {"requests": {"cpu": 4}}}}))
    assert large["image"]["resources"] == {"requests": {"cpu": "4"}, "limits": {"cpu": "4"}}


def test_users_mistakes_end_the_job_and_disruptions_do_not_count() -> None:
    job = made()["spec"]
    assert [rule["action"] for rule in job["podFailurePolicy"]["rules"]] == ["Ignore", "FailJob"]
    assert job["podFailurePolicy"]["rules"][1]["onExitCodes"] == {"operator": "In", "values": [2]}
    assert job["podReplacementPolicy"] == "Failed"


def test_a_name_of_any_length_makes_names_that_the_cluster_takes() -> None:
    for name in ("a", "a" * 253, "v1.2." * 40 + "x"):
        read = read_build(build(metadata={"name": name}))
        job = build_job(read, make_plan(read, Defaults(), None), CLUSTER)
        assert len(job["metadata"]["name"]) + len("-abcde") <= 63
        assert all(len(value) <= 63 for value in job["metadata"]["labels"].values())
        assert "." not in job["metadata"]["name"]


def test_names_tell_runs_apart() -> None:
    one = made()["metadata"]["name"]
    assert one == made(generation=7, suspend=False)["metadata"]["name"]
    assert one != made(build={"timeout": "2h"})["metadata"]["name"]
    assert one != made(metadata={"uid": "another"})["metadata"]["name"]
    asked = {"annotations": {"imagecomposer.dev/requested-at": "2026-11-25"}}
    assert one != made(metadata=asked)["metadata"]["name"]
