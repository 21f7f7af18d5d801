"""Signs addresses of objects: whoever has one can read that object for some hours, and nothing else.

Nothing is asked of the server: an address can be signed while it can't be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
import botocore.exceptions
from botocore.config import Config

from image_composer.errors import InputError, PublishError
from image_composer.publish.s3_client import read_credentials
from image_composer.spec.destination import S3Server
from image_composer.spec.source import address

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

VALID_SECONDS = 6 * 3600
"""Between signing and the last byte lie the resolving, the fetching of all packages and tries that are made again: on a
slow line some hours, when artifacts are large; a build ends after one hour unless it says otherwise. Temporary
credentials end it earlier."""

NO_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.ProfileNotFound,
)


def sign(urls: Mapping[str, str], server: S3Server | None, credentials: Path | None) -> dict[str, str]:
    """Give addresses that can be asked for.

    Args:
        urls: s3:// addresses, by the path of their field.
        server: where they are; what AWS programs use when nothing is said.
        credentials: folder of a Secret; where AWS programs look when nothing is said.

    Raises:
        InputError: INPUT_CREDENTIALS, INPUT_SERVER.
    """
    found = {}
    for path, url in urls.items():
        try:
            found[path] = _signed(url, server, credentials)
        except NO_CREDENTIALS as error:
            hint = (
                "give inputs.s3.credentialsSecretRef (or that of the destination) in a cluster, or AWS_ACCESS_KEY_ID"
                " and AWS_SECRET_ACCESS_KEY"
            )
            message = f"{path}: {url}: there are no credentials to ask for it with: {error}"
            raise InputError("INPUT_CREDENTIALS", message, hint=hint) from error
        except PublishError as error:
            raise InputError("INPUT_CREDENTIALS", f"{path}: {url}: {error.message}", hint=error.hint) from error
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            hint = "see endpoint and region of inputs.s3, or what AWS programs are told on this machine"
            raise InputError("INPUT_SERVER", f"{path}: {url}: can't be signed: {error}", hint=hint) from error
    return found


def _signed(url: str, server: S3Server | None, credentials: Path | None) -> str:
    bucket, key = address(url)
    keys = read_credentials(credentials)
    client: S3Client = boto3.session.Session().client(
        "s3",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.session_token,
        endpoint_url=server.endpoint if server else None,
        region_name=server.region if server else None,
        config=Config(
            signature_version="s3v4",
            response_checksum_validation="when_required",
            s3={"addressing_style": _addressing(server, bucket)} if server else None,
        ),
    )
    with closing(client):
        return client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=VALID_SECONDS
        )


def _addressing(server: S3Server, bucket: str) -> Literal["path", "virtual"]:
    """Say where the bucket's name goes.

    Not to botocore's own choice: that names no region, and a bucket elsewhere is not found there in its first hours.
    AWS has no certificate for a bucket with a dot in its name.
    """
    return "path" if server.path_style or (server.endpoint is None and "." in bucket) else "virtual"
