"""The spec of an ImageBuild: the image, where it goes and how it is built."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from image_composer.spec.base import Duration, Flag, SpecModel
from image_composer.spec.destination import Destination, Inputs, LockRef, SecureBootKey
from image_composer.spec.image import ImageSpec
from image_composer.spec.pod import BuildSettings


class ObjectRetention(StrEnum):
    """What becomes of the published objects when the ImageBuild is deleted."""

    KEEP = "keep"
    DELETE = "delete"


class Retention(SpecModel):
    """How long things stay."""

    objects: ObjectRetention = ObjectRetention.KEEP
    """What becomes of the published objects when the ImageBuild is deleted."""

    ttl_after_finished: Duration | None = None
    """How long after its end the ImageBuild is deleted by itself; never when absent."""


class BuildRequest(SpecModel):
    """What stands beside the image in an ImageBuild's spec."""

    destination: Destination | None = None
    """Where the results go; the operator's default (or, on a laptop, the folder of `--output`) when absent."""

    inputs: Inputs | None = None
    """Server and credentials of `s3://BUCKET/KEY` in the image; those of the destination (on a laptop without one, what
    every AWS program uses) when absent."""

    build: BuildSettings = Field(default_factory=BuildSettings)
    """How the build runs in the cluster; without meaning on a laptop."""

    suspend: Flag = False
    """Whether the build waits; a running one is ended, and begins anew when this is taken back."""

    cancel: Flag = False
    """Whether a running build is ended for good; one that has finished stays as it is."""

    retention: Retention = Field(default_factory=Retention)
    """How long things stay."""

    lock_ref: LockRef | None = None
    """A lock to build exactly, instead of resolving the packages."""

    secure_boot: SecureBootKey | None = None
    """Private key of the certificate in `image.secureBoot`; on a laptop it is a file, see `--secure-boot-key`."""


class ImageBuildSpec(BuildRequest):
    """What a user asks for."""

    image: ImageSpec
    """The image."""
