"""Looking at a bucket before an image is built for it: better told at once than at the end."""

from __future__ import annotations

from botocore.exceptions import ClientError

from image_composer.errors import PublishError
from image_composer.evidence.result import RESULT_FILE, BuildResult
from image_composer.publish.patience import Patience
from image_composer.publish.s3_client import Haste, opened_client
from image_composer.publish.s3_folder import BucketFolder, Standing
from image_composer.report import Reporter
from image_composer.settings import Settings
from image_composer.spec.destination import S3Destination

PATIENCE_SECONDS = 5
"""How long a server may be silent: publishing, at the end of the build, is far more patient."""

QUICK = Haste(connect_seconds=5, read_seconds=15, tries=2)


def look(place: S3Destination, folder: str, *, settings: Settings, reporter: Reporter) -> Standing | None:
    """Give the result that is published in a folder already; else see that one can be published there.

    Raises:
        PublishError: it can't; PUBLISH_UNREACHABLE when the server doesn't answer, which may be over by then.
    """
    with opened_client(place, settings, haste=QUICK) as client:
        seen = BucketFolder(client, place, folder, Patience(place, PATIENCE_SECONDS, reporter))
        standing = seen.standing()
        if standing is None:
            try_to_write(seen)
        else:
            check_whole(seen, standing.result)
        return standing


def try_to_write(folder: BucketFolder) -> None:
    """See that the credentials may write, without leaving an object: an upload is begun and aborted."""
    key = folder.key(RESULT_FILE)
    begun = folder.patience.ask(
        lambda: folder.client.create_multipart_upload(Bucket=folder.bucket, Key=key), "can't write to the bucket"
    )
    try:
        folder.abort(key, begun["UploadId"])
    except (PublishError, ClientError):
        return  # publishing aborts what is unfinished, and says it when that is not permitted


def check_whole(folder: BucketFolder, result: BuildResult) -> None:
    """See that everything that a result names is there as it says.

    Raises:
        PublishError: PUBLISH_DAMAGED.
    """
    sizes = {artifact.file: artifact.size for artifact in result.artifacts}
    for name, sha256 in result.digests.items():
        found = folder.find(name)
        if found is None or found.sha256 != sha256 or found.size != sizes.get(name, found.size):
            how = "is not there any more" if found is None else "is not what it says"
            raise PublishError(
                "PUBLISH_DAMAGED",
                f"{folder.uri} is published, but {name}, which its {RESULT_FILE} names, {how}",
                hint=f"remove {folder.uri}{RESULT_FILE} to publish there again, or set build.force",
            )
