"""What a failed S3 request means: a code, a sentence and a hint, and whether trying again can help.

Servers differ in what they call things; what they say is repeated as far as it is a sentence of theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from image_composer.errors import DestinationError, PublishError
from image_composer.spec.destination import S3Destination

UNREACHABLE = "PUBLISH_UNREACHABLE"
CONFLICT = "PUBLISH_CONFLICT"

SHOWN_CHARACTERS = 300
"""How much of a server's sentence is repeated."""

PERMISSIONS = (
    "the credentials need s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject,"
    " s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on what is in it"
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code of a server means."""

    code: str
    reason: str
    hint: str | None = None


_CREDENTIALS = Meaning(
    "PUBLISH_CREDENTIALS",
    "the server does not accept the credentials",
    "check access key and secret key: those of the Secret that credentialsSecretRef names, or of this machine",
)
_DENIED = Meaning("PUBLISH_DENIED", "the credentials do not permit it", PERMISSIONS)
_REGION = Meaning("PUBLISH_REGION", "the bucket is in another region", "set region in the destination")
_FULL = Meaning("PUBLISH_FULL", "the server has no room left, or a quota is used up", "free space there")

MEANINGS = {
    "NoSuchBucket": Meaning(
        "PUBLISH_BUCKET_MISSING", "the bucket does not exist", "make the bucket, or correct its name or the endpoint"
    ),
    "InvalidBucketName": Meaning("PUBLISH_BUCKET_MISSING", "the server does not take the bucket's name"),
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "XAdminUserNotFound": _CREDENTIALS,  # versitygw
    "InvalidToken": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
    "RequestTimeTooSkewed": Meaning(
        "PUBLISH_CREDENTIALS", "this machine's clock differs too much from the server's", "set the clock"
    ),
    "AccessDenied": _DENIED,
    "AccessForbidden": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "Forbidden": _DENIED,
    "403": _DENIED,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "301": _REGION,
    "QuotaExceeded": _FULL,
    "QuotaExceededException": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    "507": _FULL,
}
"""By the code of the server's answer; requests without a body are answered with a status only."""

PASSING = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "BadGateway",
        "XMinioServerNotInitialized",
    }
)
"""Codes of a server that can't now."""

CONNECTION_ERRORS = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    HTTPError,
    ConnectionError,
)
"""A server that can't be reached, or goes away in the middle."""

OBJECT = re.compile(r"^<?\w+\([^()]*\)( object at \w+)?>?: ")
"""How urllib3 names the connection that failed, before it says how."""

FOREVER = ("certificate verify failed", "CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "hostname mismatch")
"""What TLS says where trying again is no use. A server that dies within a handshake is no such case."""


USERS = frozenset({"PUBLISH_CREDENTIALS", "PUBLISH_DENIED", "PUBLISH_BUCKET_MISSING", "PUBLISH_REGION", "PUBLISH_TLS"})
"""Codes of a destination that will not do until somebody changes something: a Job doesn't try again."""


def publish_error(code: str, message: str, *, hint: str | None = None, retryable: bool = False) -> PublishError:
    """Give the error of a code, of the kind that says whose mistake it is."""
    kind = DestinationError if code in USERS else PublishError
    return kind(code, message, hint=hint, retryable=retryable)


def explain(error: Exception, attempt: str, place: S3Destination) -> PublishError:
    """Give the error that a user reads.

    Args:
        error: what boto3 raised.
        attempt: what was tried, for example `can't upload edge.raw`.
        place: where.
    """
    if isinstance(error, PublishError):
        return error
    where = f"{place.endpoint or 'AWS'}, bucket {place.bucket}"
    if isinstance(error, boto.ClientError):
        return _answered(error, f"{attempt} ({where})")
    if isinstance(error, boto.SSLError | boto.InvalidProxiesConfigError) and any(
        words in str(error) for words in FOREVER
    ):
        speaks = "WRONG_VERSION_NUMBER" not in str(error)
        reason = "the server's certificate can't be trusted" if speaks else "the server does not speak https"
        hint = "give its authority's certificate as caBundle in the destination" if speaks else "correct the endpoint"
        return publish_error("PUBLISH_TLS", f"{attempt} ({where}): {reason}: {_sentence(_cause(error))}", hint=hint)
    if isinstance(error, CONNECTION_ERRORS):
        return PublishError(
            UNREACHABLE,
            f"{attempt} ({where}): the server can't be reached: {_sentence(_cause(error))}",
            hint="check the endpoint, the network and the server",
            retryable=True,
        )
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return publish_error(
            "PUBLISH_CREDENTIALS",
            f"{attempt} ({where}): there are no credentials for it: {_sentence(error)}",
            hint="give credentialsSecretRef in a cluster, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    return PublishError("PUBLISH_REFUSED", f"{attempt} ({where}): {_sentence(error)}")


def code_of(error: Exception) -> str:
    """Give the code of a server's answer: its own, or the status; nothing for other errors."""
    if not isinstance(error, boto.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: Exception) -> int:
    """Give the status of a server's answer; 0 for other errors."""
    if not isinstance(error, boto.ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(error: boto.ClientError, attempt: str) -> PublishError:
    code, status = code_of(error), status_of(error)
    said = str(error.response.get("Error", {}).get("Message", ""))
    answer = f"{code}: {_sentence(said)}" if said and said != code else code or str(status)
    if code in MEANINGS:
        meaning = MEANINGS[code]
        return publish_error(meaning.code, f"{attempt}: {meaning.reason} ({answer})", hint=meaning.hint)
    if code in PASSING or status >= 500 or status in (408, 429):
        return PublishError(
            UNREACHABLE,
            f"{attempt}: the server can't do it now ({answer})",
            hint="look at the server's own log",
            retryable=True,
        )
    if status in (401, 403):
        return publish_error(_DENIED.code, f"{attempt}: {_DENIED.reason} ({answer})", hint=_DENIED.hint)
    return PublishError("PUBLISH_REFUSED", f"{attempt}: the server refuses it ({answer})")


def _cause(error: Exception) -> str:
    """Give what botocore's error is about, without the sentence around it, which repeats the whole URL."""
    given = getattr(error, "kwargs", {}).get("error", error)
    reason = getattr(given, "reason", None)
    return OBJECT.sub("", str(reason if isinstance(reason, Exception) else given))


def _sentence(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "..."
