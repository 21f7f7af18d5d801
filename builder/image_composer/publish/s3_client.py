"""The one place that makes a client for an S3 server. boto3 takes a third of a second to load: import this when needed.

Payloads are signed, so that a server refuses what was damaged on its way. Checksums that only AWS and a few others
know are left out, since many servers refuse them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import boto3
import botocore.exceptions
from botocore.config import Config

from image_composer.errors import PublishError
from image_composer.publish.s3_errors import explain, publish_error
from image_composer.settings import Settings
from image_composer.spec.destination import S3Destination, S3Server

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

OPTIONAL = frozenset({"AWS_SESSION_TOKEN"})
"""Keys of a Secret that need not be there."""


class Credentials(NamedTuple):
    """What a client signs with; where nothing is given, boto3 looks in its usual places."""

    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class Haste:
    """How long a client waits."""

    connect_seconds: float = 10
    """Seconds until a connection stands; also the longest that sending a piece may hang."""

    read_seconds: float = 120
    """Seconds of silence; joining the parts of a large object takes some servers a minute."""

    tries: int = 2
    """Tries at once; whoever wants to wait longer has a `Patience`."""


PATIENT = Haste()
HURRIED = Haste(connect_seconds=3, read_seconds=5, tries=1)
"""For the end of a pod, which may take seconds only."""


@contextmanager
def opened_client(
    place: S3Destination, settings: Settings, *, connections: int = 10, haste: Haste = PATIENT
) -> Iterator[S3Client]:
    """Give a client for the server of a destination.

    Args:
        place: the destination.
        settings: where credentials and authorities are.
        connections: how many are kept open.
        haste: how long it waits.

    Raises:
        PublishError: PUBLISH_CREDENTIALS, PUBLISH_REFUSED; no request has been made.
    """
    with ExitStack() as stack:
        authorities = _authorities(place, settings, stack)
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": _addressing(place)},
            retries={"mode": "standard", "total_max_attempts": haste.tries},
            connect_timeout=haste.connect_seconds,
            read_timeout=haste.read_seconds,
            max_pool_connections=connections,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="image-composer",
        )
        credentials = read_credentials(settings.s3_credentials)
        try:
            client = stack.enter_context(closing(new_client(place, credentials, config, authorities)))
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise explain(error, "can't prepare for the server", place) from error
        yield client


def new_client(
    server: S3Server | None, credentials: Credentials, config: Config, authorities: str | None = None
) -> S3Client:
    """Give a client, which the caller closes.

    Args:
        server: what it asks; what AWS programs are told on this machine when absent.
        credentials: what it signs with.
        config: how it asks.
        authorities: file that the server's certificate is checked against; the public ones when absent.

    Raises:
        BotoCoreError: no client can be made of that.
        ValueError: the endpoint is no address.
    """
    client: S3Client = boto3.session.Session().client(
        "s3",
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.session_token,
        endpoint_url=server.endpoint if server else None,
        region_name=server.region if server else None,
        verify=authorities,
        config=config,
    )
    return client


def read_credentials(folder: Path | None) -> Credentials:
    """Read credentials as a Secret is mounted; none without a folder.

    Raises:
        PublishError: PUBLISH_CREDENTIALS.
    """
    if folder is None:
        return Credentials()
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return Credentials(*(_key(folder, name) for name in names))


def _key(folder: Path, name: str) -> str | None:
    is_optional = name in OPTIONAL
    try:
        value = (folder / name).read_text().strip()  # editors and `echo` end files with a new line
    except (OSError, ValueError) as error:
        if is_optional and isinstance(error, FileNotFoundError):
            return None
        reason = "is missing" if isinstance(error, FileNotFoundError) else "can't be read"
        raise _unusable(f"the key {name} of the credentials {reason} ({folder})") from error
    if not value and not is_optional:
        raise _unusable(f"the key {name} of the credentials is empty ({folder})")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise _unusable(f"the key {name} of the credentials holds what no key can: white space or other letters")
    return value or None


def _unusable(message: str) -> PublishError:
    hint = "the Secret needs the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return publish_error("PUBLISH_CREDENTIALS", message, hint=hint)


def _addressing(place: S3Server) -> Literal["path", "virtual", "auto"]:
    if place.path_style:
        return "path"
    return "virtual" if place.endpoint else "auto"


def _authorities(place: S3Server, settings: Settings, stack: ExitStack) -> str | None:
    """Give the file of the authorities that the server's certificate is checked against; None: the public ones."""
    if place.ca_bundle is None:
        return str(settings.ca_file) if settings.ca_file else None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="image-composer-"))
    file = Path(folder) / "authorities.pem"  # read at each connection, so it stays as long as the client
    file.write_text(place.ca_bundle)
    return str(file)
