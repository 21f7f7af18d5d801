"""Under which keys of a bucket a build's results lie: worked out alike by the operator and by a laptop."""

from __future__ import annotations

from image_composer.digest import json_sha256
from image_composer.spec.destination import S3Destination
from image_composer.spec.image import ImageSpec

DIGEST_CHARACTERS = 12
"""How much of the digest stands in keys: 48 bits tell the builds of one image apart."""


def image_digest(image: ImageSpec) -> str:
    """Give the digest that stands for an image's spec, with all defaults filled in.

    What is verified is left out: ids come from this digest, and an image has the same bytes whether it is looked at
    or not.
    """
    return json_sha256(image.model_dump(mode="json", exclude={"verify"}))


def content_digest(image: ImageSpec, lock_sha256: str | None = None, force: str | None = None) -> str:
    """Give the digest of what is built: builds of one digest have one folder.

    What is verified counts: a build that asks for more than the last one must not take that one's word for it.

    Args:
        image: what is asked for.
        lock_sha256: SHA-256 of the lock file's bytes, when one is given.
        force: tells a build apart that is asked for again on purpose.
    """
    asked = image.verify.model_dump(mode="json", exclude_defaults=True)
    verify = {"verify": asked} if asked else {}
    return json_sha256({"image": image_digest(image), "lock": lock_sha256, "force": force, **verify})


def build_prefix(destination: S3Destination, namespace: str, name: str) -> str:
    """Give what the keys of everything that an ImageBuild publishes begin with, with a slash at its end."""
    return "/".join([*filter(None, [destination.prefix]), namespace, name]) + "/"


def folder_key(destination: S3Destination, namespace: str, name: str, *, version: str, digest: str) -> str:
    """Give what the keys of one build's objects begin with, with a slash at its end: nothing is ever replaced there."""
    return f"{build_prefix(destination, namespace, name)}{version}-{digest[:DIGEST_CHARACTERS]}/"


def object_uri(destination: S3Destination, key: str) -> str:
    """Give the URI of an object, for people and programs."""
    return f"s3://{destination.bucket}/{key}"
