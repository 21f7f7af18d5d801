"""The containers of a builder pod: what each runs, sees and may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from image_composer.spec.pod import STAGE_NAMES, BuildSettings, ResourceAmounts, StageResources
from image_composer_operator.inputs import INPUTS, input_mounts
from image_composer_operator.model import Plan
from image_composer_operator.settings import OperatorSettings

Manifest = dict[str, Any]

PROGRAM = ("image-composer", "--log-format", "plain")
NOBODY = 65532
"""User of containers that need no rights: the one that distroless images use too."""

LOG = "log"
PREFLIGHT = "preflight"
STEPS: Sequence[str] = ("validate", PREFLIGHT, *STAGE_NAMES[1:])
"""What people see of a pod, in order: the stages, and the look at the bucket before the work begins."""

WORKSPACE = "/workspace"
TRUSTED_CA_FILE = "trusted-ca.pem"
S3_FOLDER = "/var/run/image-composer/s3"
S3_INPUTS_FOLDER = "/var/run/image-composer/s3-inputs"
KEY_FOLDER = "/var/run/image-composer/secure-boot"
KEY_FILE = "tls.key"
"""Name of the private key, in the Secret and below `KEY_FOLDER`."""

MOUNTS: Mapping[str, Manifest] = {
    "workspace": {"name": "workspace", "mountPath": WORKSPACE},
    "document": {"name": "document", "mountPath": "/document", "readOnly": True},
    "cache": {"name": "cache", "mountPath": "/cache"},
    "lock": {"name": "lock", "mountPath": "/lock", "readOnly": True},
    "s3": {"name": "s3", "mountPath": S3_FOLDER, "readOnly": True},
    "s3-inputs": {"name": "s3-inputs", "mountPath": S3_INPUTS_FOLDER, "readOnly": True},
    "secure-boot": {"name": "secure-boot", "mountPath": KEY_FOLDER, "readOnly": True},
    "tmp": {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
    "apt": {"name": "apt", "mountPath": "/etc/apt", "readOnly": True},
}

PRIVILEGED: Manifest = {"privileged": True, "runAsUser": 0, "runAsGroup": 0}
"""assemble and image: they set up namespaces, in which what packages bring runs without any of this."""

POWERLESS: Manifest = {
    "privileged": False,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
UNPRIVILEGED: Manifest = {**POWERLESS, "runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY}
OWNER_OF_CACHE: Manifest = {**POWERLESS, "runAsUser": 0, "runAsGroup": 0}
"""resolve and fetch: root by name, since a folder of the node belongs to root, but without any capability."""

SECURITY: Mapping[str, Manifest] = {
    "assemble": PRIVILEGED,
    "image": PRIVILEGED,
    "resolve": OWNER_OF_CACHE,
    "fetch": OWNER_OF_CACHE,
    "prepare": OWNER_OF_CACHE,
}
"""By container; everything else is UNPRIVILEGED."""

SMALL = StageResources(requests=ResourceAmounts(cpu="50m", memory="96Mi"), limits=ResourceAmounts(memory="512Mi"))
"""What the helpers of a pod get: they wait, look and upload a log."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """Which of the optional volumes a pod has."""

    lock: bool
    cache: bool
    s3: bool
    s3_inputs: bool
    key: bool


def build_containers(plan: Plan, settings: OperatorSettings, mounts: Mounts) -> tuple[list[Manifest], Manifest]:
    """Give a build's init containers in their order, and its main one."""
    made = [_log(plan, settings, mounts)]
    if plan.settings.workspace is not None and plan.settings.workspace.ephemeral_volume is not None:
        made.append(plain_container("prepare", ["chmod", "1777", WORKSPACE], settings, mounts=["workspace"]))
    for number, name in enumerate(STEPS, start=1):
        made.append(_step(number, name, plan, settings, mounts))
    return made[:-1], made[-1]


def plain_container(
    name: str,
    argv: Sequence[str],
    settings: OperatorSettings,
    *,
    mounts: Sequence[str],
    environment: Mapping[str, str] | None = None,
    resources: StageResources = SMALL,
) -> Manifest:
    """Give a container that runs a command with the rights of its name."""
    variables = {
        "IMAGE_COMPOSER_TERMINATION_LOG": "/dev/termination-log",
        "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
        **(environment or {}),
    }
    return {
        "name": name,
        "image": settings.builder_image,
        "imagePullPolicy": settings.builder_image_pull_policy,
        "command": list(argv),
        "env": [
            *({"name": key, "value": value} for key, value in variables.items()),
            {"name": "IMAGE_COMPOSER_ATTEMPT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "volumeMounts": [MOUNTS[mount] for mount in (*mounts, "tmp")],
        "securityContext": SECURITY.get(name, UNPRIVILEGED),
        "resources": container_resources(resources),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def s3_environment(has_secret: bool, folder: str | None = None) -> dict[str, str]:
    """Give what containers that reach the bucket need to know."""
    variables = {"IMAGE_COMPOSER_S3_CREDENTIALS": S3_FOLDER} if has_secret else {}
    return {**variables, "IMAGE_COMPOSER_FOLDER": folder} if folder else variables


def container_resources(given: StageResources) -> Manifest:
    """Give resources as Kubernetes writes them."""
    names = {"cpu": "cpu", "memory": "memory", "ephemeral_storage": "ephemeral-storage"}
    amounts = {"requests": given.requests, "limits": given.limits}
    named = {
        kind: {names[name]: value for name, value in amount.model_dump(exclude_none=True, by_alias=False).items()}
        for kind, amount in amounts.items()
    }
    return {kind: amount for kind, amount in named.items() if amount}


def _log(plan: Plan, settings: OperatorSettings, mounts: Mounts) -> Manifest:
    """Give the sidecar that outlives every stage, so that the log of a failure gets to the bucket too."""
    container = plain_container(
        LOG,
        [*PROGRAM, "pod", "log", "--workspace", WORKSPACE],
        settings,
        mounts=["workspace", "document", *(["s3"] if mounts.s3 else [])],
        environment=s3_environment(mounts.s3, plan.folder),
    )
    return {**container, "restartPolicy": "Always"}


def _step(number: int, name: str, plan: Plan, settings: OperatorSettings, mounts: Mounts) -> Manifest:
    own: BuildSettings = plan.settings
    group = "pod" if name == PREFLIGHT else "stage"
    argv = [*PROGRAM, group, name, "--workspace", WORKSPACE]
    volumes = ["workspace"]
    variables = {"IMAGE_COMPOSER_LOG_FILE": f"{WORKSPACE}/logs/{number:02}-{name}.log"}
    if name == "validate":
        argv += ["--file", "/document/imagebuild.json"]
        volumes.append("document")
    if name in ("resolve", "fetch"):
        volumes += ["cache"] if mounts.cache else []
        volumes += ["apt"] if settings.host_sources else []
        volumes += ["document"] if settings.trusted_ca or settings.keys else []
        variables |= _network_environment(settings, mounts)
    if name == "resolve" and mounts.lock:
        argv += ["--lock", "/lock/lock.json"]
        volumes.append("lock")
    if name in (PREFLIGHT, "publish"):
        volumes += ["s3"] if mounts.s3 else []
        variables |= {**s3_environment(mounts.s3, plan.folder), **_proxies(settings)}
    if name == PREFLIGHT and mounts.s3_inputs:  # it signs addresses for `fetch`, which has no credentials
        volumes.append("s3-inputs")
        variables["IMAGE_COMPOSER_S3_INPUTS_CREDENTIALS"] = S3_INPUTS_FOLDER
    inputs = input_mounts(plan.spec.image) if name == "assemble" else []
    if inputs:
        variables["IMAGE_COMPOSER_INPUTS"] = INPUTS
    if name == "attest" and mounts.key:  # and no other: what runs there has no rights, and runs nothing of packages
        volumes.append("secure-boot")
        variables["IMAGE_COMPOSER_SECURE_BOOT_KEY"] = f"{KEY_FOLDER}/{KEY_FILE}"
    resources = _stage_resources(own, name)
    container = plain_container(name, argv, settings, mounts=volumes, environment=variables, resources=resources)
    return {**container, "volumeMounts": [*container["volumeMounts"], *inputs]}


def _stage_resources(own: BuildSettings, name: str) -> StageResources:
    stages: Mapping[str, StageResources] = {str(stage): given for stage, given in own.resources.items()}
    return stages.get(name, SMALL if name == PREFLIGHT else StageResources())


def _network_environment(settings: OperatorSettings, mounts: Mounts) -> dict[str, str]:
    """Give what the stages that fetch packages need to know."""
    mirrors = {_variable("MIRROR", archive): url for archive, url in settings.mirrors.items()}
    keys = {_variable("KEYS", archive): f"/document/{keys_file(archive)}" for archive in settings.keys}
    # Beside the public ones: OpenSSL goes on to look into its folder of certificates.
    trusted = {"SSL_CERT_FILE": f"/document/{TRUSTED_CA_FILE}"} if settings.trusted_ca else {}
    return {
        "IMAGE_COMPOSER_CACHE_DIR": "/cache" if mounts.cache else f"{WORKSPACE}/cache",
        "IMAGE_COMPOSER_HOST_SOURCES": "1" if settings.host_sources else "0",
        **mirrors,
        **keys,
        **_proxies(settings),
        **trusted,
    }


def _variable(kind: str, archive: str) -> str:
    return f"IMAGE_COMPOSER_{kind}_{archive.upper().replace('-', '_')}"


def keys_file(archive: str) -> str:
    """Give the name of the file with an archive's certificates in the pod."""
    return f"keys-{archive}.asc"


def _proxies(settings: OperatorSettings) -> dict[str, str]:
    named = {
        "http_proxy": settings.proxies.http_proxy,
        "https_proxy": settings.proxies.https_proxy,
        "no_proxy": settings.proxies.no_proxy,
    }
    return {name: value for name, value in named.items() if value}
