"""Before a build for a bucket: whether anything is left to build, and whether it can be published then."""

from __future__ import annotations

from image_composer.pod.message import PublishedResult
from image_composer.publish.published import published_result
from image_composer.spec.location import object_uri
from image_composer.steps.build import Build
from image_composer.steps.publish import folder_in_bucket, no_destination
from image_composer.workspace import PublishPlace


def preflight(build: Build) -> PublishedResult | None:
    """Give what is published already, and write it down, so that no stage does anything; nothing when there is none.

    Raises:
        PublishError: it could not be published.
    """
    from image_composer.publish.s3_preflight import look  # noqa: PLC0415 - boto3 takes long to load

    place = build.place
    if not isinstance(place, PublishPlace):
        raise no_destination()
    folder = folder_in_bucket(place)
    standing = look(place.s3, folder, settings=build.settings, reporter=build.reporter)
    if standing is None:
        return None
    uri = object_uri(place.s3, folder)
    published = published_result(standing.result, uri, standing.sha256, reused=True)
    build.workspace.write(build.workspace.published, published)
    build.reporter.conclude(f"already published in {uri}")
    return published
