"""An ImageBuild as the operator sees it: the object of the API, with its spec read and the defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from image_composer.digest import json_sha256
from image_composer.errors import Problem, SpecError
from image_composer.spec.destination import S3Destination, S3Server
from image_composer.spec.document import check_manifest
from image_composer.spec.imagebuild import ImageBuildSpec, ObjectRetention
from image_composer.spec.layers.compose import Surroundings
from image_composer.spec.layers.fields import without_defaults
from image_composer.spec.layers.variables import escaped
from image_composer.spec.location import content_digest, folder_key, image_digest
from image_composer.spec.pod import BuildSettings, ResourceAmounts, StageName, StageResources, parse_quantity
from image_composer_operator.names import ANNOTATION_REQUESTED_AT, FINALIZER, job_name
from image_composer_operator.settings import Defaults
from image_composer_operator.status import BuildStatus

Body = Mapping[str, Any]
"""An object as the API gives it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an ImageBuild with a valid spec asks for, worked out."""

    spec: ImageBuildSpec
    settings: BuildSettings
    """How it is built: the user's word, then the operator's default."""

    destination: S3Destination
    inputs: S3Server | None
    """Where the image's s3:// addresses are, when that is said; at the destination's server otherwise."""

    spec_digest: str
    """Of the image's spec."""

    content_digest: str
    """Of what is built: results of one digest are the same result."""

    folder: str
    """Beginning of the keys that the results get."""

    run_digest: str
    """Of all that a new Job is made for."""

    job: str
    """Name of that Job."""

    image: Mapping[str, Any]
    """The image's spec as the builder reads it: the user's, or what it has become with all that it builds on."""


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """One ImageBuild."""

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    created_at: datetime
    deleting: bool
    has_finalizer: bool
    requested_at: str
    body: Body
    status: BuildStatus

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def deletes_objects(self) -> bool:
        """Whether what was published goes with the ImageBuild; the rest of the spec may be wrong."""
        retention = self.body.get("spec", {}).get("retention") or {}
        return isinstance(retention, Mapping) and retention.get("objects") == ObjectRetention.DELETE


def read_build(body: Body) -> ImageBuild:
    """Read an object of the API."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return ImageBuild(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        resource_version=metadata["resourceVersion"],
        created_at=parse_time(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        has_finalizer=FINALIZER in (metadata.get("finalizers") or ()),
        requested_at=annotations.get(ANNOTATION_REQUESTED_AT, ""),
        body=body,
        status=BuildStatus.read(body.get("status")),
    )


def make_plan(
    build: ImageBuild,
    defaults: Defaults,
    lock_sha256: str | None,
    allowed_host_paths: Sequence[str] = (),
    surroundings: Surroundings | None = None,
) -> Plan:
    """Work out what an ImageBuild asks for.

    Args:
        build: the ImageBuild.
        defaults: what counts where it says nothing.
        lock_sha256: digest of the lock that it refers to.
        allowed_host_paths: folders of nodes that users may write to.
        surroundings: what it builds on; nothing when it builds on nothing.

    Raises:
        SpecError: with everything that is wrong with its spec.
    """
    manifest = {key: build.body[key] for key in ("apiVersion", "kind", "metadata", "spec")}
    if surroundings is not None:
        manifest["spec"] = {**manifest["spec"], "image": said(image_of(build.body))}
    document = check_manifest(manifest, surroundings)
    spec = ImageBuildSpec(image=document.spec, **_fields(document.request))
    destination = spec.destination or defaults.destination
    if destination is None:
        hint = "set it, or let the operator have a default (the chart's settings.defaults.destination)"
        missing = Problem("spec.destination", "is missing, and this operator has no default", "SPEC_MISSING_FIELD")
        raise SpecError([missing], hint=hint)
    _check_host_path(spec.build, allowed_host_paths)
    _check_key(spec)
    _check_trees(spec)
    force = f"{build.generation} {build.requested_at}" if spec.build.force else None
    content = content_digest(spec.image, lock_sha256, force)
    run = json_sha256(
        {
            "uid": build.uid,
            "content": content,
            "destination": _json(spec.destination) if spec.destination else None,
            "build": _json(spec.build),
            "requestedAt": build.requested_at,
            **({"inputs": _json(spec.inputs)} if spec.inputs else {}),
            **({"secureBoot": _json(spec.secure_boot)} if spec.secure_boot else {}),
        }
    )
    return Plan(
        spec=spec,
        settings=merge_settings(spec.build, defaults.build),
        destination=destination.s3,
        inputs=spec.inputs.s3 if spec.inputs else None,
        spec_digest=image_digest(spec.image),
        content_digest=content,
        folder=folder_key(destination.s3, build.namespace, build.name, version=spec.image.version, digest=content),
        run_digest=run,
        job=job_name(build.name, run),
        image=manifest["spec"]["image"] if surroundings is None else escaped(document.tree),
    )


def image_of(body: Body) -> Mapping[str, Any]:
    """Give the image's spec of an ImageBuild, whatever the rest is like."""
    spec = body.get("spec")
    image = spec.get("image") if isinstance(spec, Mapping) else None
    return image if isinstance(image, Mapping) else {}


def said(image: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a user has said of an image: defaults that the API server filled in would count as his word."""
    found: dict[str, Any] = without_defaults(dict(image))
    return found


def as_base(body: Body) -> dict[str, Any]:
    """Give an ImageBuild as one that others build on."""
    return {"apiVersion": body.get("apiVersion"), "kind": body.get("kind"), "spec": {"image": said(image_of(body))}}


def _check_host_path(settings: BuildSettings, allowed: Sequence[str]) -> None:
    """Refuse a user's folder of a node: what fetches packages would write there as root.

    Raises:
        SpecError: the cluster's owner doesn't allow it.
    """
    path = settings.cache.host_path if settings.cache else None
    if path is not None and not any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in allowed):
        hint = "use persistentVolumeClaim, or let the cluster's owner add the folder to settings.allowedHostPaths"
        message = f"folders of nodes are the operator's to give; this one is not allowed: {path}"
        raise SpecError([Problem("spec.build.cache.hostPath", message)], hint=hint)


def _check_key(spec: ImageBuildSpec) -> None:
    """See that whoever asks for signatures says where the key is; a laptop is given a file instead.

    Raises:
        SpecError: it is missing.
    """
    if spec.image.secure_boot is not None and spec.secure_boot is None:
        hint = "name the Secret with the private key of image.secureBoot.certificate; docs/secure-boot.md shows it"
        missing = Problem("spec.secureBoot.keySecretRef", "is missing; image.secureBoot needs it", "SPEC_MISSING_FIELD")
        raise SpecError([missing], hint=hint)


def _check_trees(spec: ImageBuildSpec) -> None:
    """See that no tree is a folder beside the document: that is known to a laptop only.

    Raises:
        SpecError: one is.
    """
    problems = [
        Problem(f"spec.image.trees[{number}].folder", "is beside the document, where only a laptop has folders")
        for number, tree in enumerate(spec.image.trees)
        if tree.folder is not None
    ]
    if problems:
        raise SpecError(problems, hint="make an archive of it, and name that by url and sha256, or use configMapRef")


def merge_settings(own: BuildSettings, default: BuildSettings) -> BuildSettings:
    """Give settings where the user's word counts before the operator's default, field by field."""
    fields = {**_fields(default), **{name: value for name, value in _fields(own).items() if value is not None}}
    fields["resources"] = merge_resources(own.resources, default.resources)
    for name in ("node_selector", "labels"):
        fields[name] = {**getattr(default, name), **getattr(own, name)}
    for name in ("tolerations", "image_pull_secrets"):
        fields[name] = getattr(own, name) or getattr(default, name)
    return BuildSettings.model_construct(**fields)


def merge_resources(
    own: Mapping[StageName, StageResources], default: Mapping[StageName, StageResources]
) -> dict[StageName, StageResources]:
    """Give the resources of stages, each amount by itself.

    Kubernetes refuses a request beyond its limit: of the two, what the user has not said gives way.
    """
    merged = dict(default)
    for stage, given in own.items():
        base = default.get(stage, StageResources())
        requests, limits = _amounts(base.requests), _amounts(base.limits)
        said_requests, said_limits = _amounts(given.requests), _amounts(given.limits)
        for name, limit in said_limits.items():
            if (
                name in requests
                and name not in said_requests
                and parse_quantity(requests[name]) > parse_quantity(limit)
            ):
                requests[name] = limit
        for name, request in said_requests.items():
            if name in limits and name not in said_limits and parse_quantity(limits[name]) < parse_quantity(request):
                limits[name] = request
        merged[stage] = StageResources(
            requests=ResourceAmounts(**{**requests, **said_requests}),
            limits=ResourceAmounts(**{**limits, **said_limits}),
        )
    return merged


def _amounts(given: ResourceAmounts) -> dict[str, str]:
    return given.model_dump(exclude_none=True, by_alias=False)


def parse_time(text: str) -> datetime:
    """Read a time as the API writes it."""
    return datetime.fromisoformat(text)


def _fields(model: BaseModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


def _json(model: BaseModel) -> Any:
    return model.model_dump(mode="json", exclude_defaults=True)
