"""Settings of the operator: one YAML file, which the Helm chart writes.

Under each field stands what it means, in which unit, and when one would change it.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from image_composer.errors import SpecError
from image_composer.spec.base import AbsolutePath, SpecModel, Url
from image_composer.spec.destination import Destination, ObjectName
from image_composer.spec.parse import parse
from image_composer.spec.pod import BuildSettings
from image_composer.spec.problems import problems_of


class Defaults(SpecModel):
    """What counts where an ImageBuild says nothing; the same fields as in its spec."""

    destination: Destination | None = None
    """Where results go."""

    build: BuildSettings = Field(default_factory=BuildSettings)
    """How builds run: patience, resources by stage, cache, nodes."""


class Proxies(SpecModel):
    """Proxies of builder pods."""

    http_proxy: str = ""
    """For `http` URLs."""

    https_proxy: str = ""
    """For `https` URLs."""

    no_proxy: str = ""
    """Hosts and domains that are reached directly, with commas."""


ArchiveName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
"""Name of an archive that fits into the name of an annotation, which has room for 63 characters."""

ArchiveKeys = Annotated[str, StringConstraints(pattern="^-----BEGIN PGP PUBLIC KEY BLOCK-----", max_length=65536)]
"""All annotations of a pod share 256 KiB with the document."""


class OperatorSettings(SpecModel):
    """What the cluster's owner decides."""

    builder_image: Annotated[str, Field(min_length=1, max_length=512)]
    """Container image of builder pods."""

    builder_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When nodes pull it."""

    namespaces: list[ObjectName] = Field(default_factory=list)
    """Namespaces that are watched; all when empty. With some given, no right beyond them is needed."""

    require_namespace_label: bool = True
    """Whether builds run only in namespaces labelled imagecomposer.dev/builds=allowed: whoever may make an ImageBuild
    gets a privileged pod. Turn it off only where the API itself restricts who may."""

    defaults: Defaults = Defaults()
    """What counts where an ImageBuild says nothing."""

    allowed_host_paths: list[AbsolutePath] = Field(default_factory=list)
    """Folders of nodes at or below which users may have their cache; the default's own hostPath needs no mention.
    What fetches packages writes there as root: a folder that holds anything else must never be among them."""

    mirrors: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")], Url] = Field(default_factory=dict)
    """Base URL by archive, instead of the distributions' public ones."""

    keys: dict[ArchiveName, ArchiveKeys] = Field(default_factory=dict)
    """OpenPGP certificates (armoured) by archive that may sign its repositories, instead of the provider's: for mirrors
    that sign anew."""

    host_sources: bool = False
    """Whether builder pods honour the APT sources of their node, for machines that reach packages only that way."""

    proxies: Proxies = Proxies()
    """Proxies of builder pods."""

    trusted_ca: str = ""
    """CA certificates (PEM) that builder pods trust for mirrors, beside the public ones."""

    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """ImageBuilds reconciled at once; each waits for the API most of its time."""

    resync_seconds: Annotated[int, Field(ge=5, le=86400)] = 300
    """How often everything is listed anew, in case a watch missed something."""

    settle_seconds: Annotated[float, Field(ge=0, le=10)] = 0.5
    """How long an object's news are gathered before it is reconciled: fewer writes, a later status."""

    job_ttl_seconds: Annotated[int, Field(ge=60, le=2592000)] = 86400
    """How long finished Jobs are kept, for `kubectl logs`; also how long the operator may be away without losing
    how a build ended."""

    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /metrics, /healthz and /readyz; 0 for any free one."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What the operator logs."""


def read_settings(path: Path) -> OperatorSettings:
    """Read the settings' file.

    Raises:
        SpecError: with everything that is wrong with it.
    """
    return check_settings(parse(path.read_bytes(), path.name))


def check_settings(tree: dict[str, Any]) -> OperatorSettings:
    """Give the settings that a parsed file stands for.

    Raises:
        SpecError: with everything that is wrong with it.
    """
    try:
        return OperatorSettings.model_validate(tree)
    except ValidationError as error:
        hint = "docs/operator.md explains the settings; the Helm chart writes them from its values"
        raise SpecError(problems_of(error, ""), hint=hint) from error


def operator_version() -> str:
    """Give the version of the operator that runs."""
    return importlib.metadata.version("image-composer")
