"""Signs addresses of objects: whoever has one can read that object for some hours, and nothing else.

Nothing is asked of the server: an address can be signed while it can't be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import botocore.exceptions
from botocore.config import Config

from image_composer.errors import InputError, PublishError
from image_composer.publish.s3_client import new_client, read_credentials
from image_composer.spec.destination import S3Server
from image_composer.spec.source import address

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Addressing = Literal["path", "virtual"]
"""Where the bucket's name goes."""

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
    with ExitStack() as stack:

        @cache  # a client takes a tenth of a second to make
        def client(addressing: Addressing | None) -> S3Client:
            return stack.enter_context(closing(_client(server, credentials, addressing)))

        for path, url in urls.items():
            found[path] = _signed(path, url, server, client)
    return found


def _signed(path: str, url: str, server: S3Server | None, client: Callable[[Addressing | None], S3Client]) -> str:
    bucket, key = address(url)
    try:
        return client(_addressing(server, bucket) if server else None).generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=VALID_SECONDS
        )
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


def _client(server: S3Server | None, credentials: Path | None, addressing: Addressing | None) -> S3Client:
    config = Config(
        signature_version="s3v4",
        response_checksum_validation="when_required",
        s3={"addressing_style": addressing} if addressing else None,
    )
    return new_client(server, read_credentials(credentials), config)


def _addressing(server: S3Server, bucket: str) -> Addressing:
    """Say where the bucket's name goes.

    Not to botocore's own choice: that names no region, and a bucket elsewhere is not found there in its first hours.
    AWS has no certificate for a bucket with a dot in its name.
    """
    return "path" if server.path_style or (server.endpoint is None and "." in bucket) else "virtual"
