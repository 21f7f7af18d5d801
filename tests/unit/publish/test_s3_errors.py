"""What failed requests mean, for people and machines."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from image_composer.errors import EXIT_OURS, EXIT_USER
from image_composer.publish.s3_errors import explain
from image_composer.spec.destination import S3Destination

PLACE = S3Destination(bucket="images", endpoint="https://s3.example.org")
CHANGEABLE = frozenset(
    {"PUBLISH_CREDENTIALS", "PUBLISH_DENIED", "PUBLISH_BUCKET_MISSING", "PUBLISH_REGION", "PUBLISH_TLS"}
)
"""Codes that no try changes, only somebody who corrects the destination or what it refers to."""

ATTEMPT = "can't upload edge.raw"


def answer(code: str, status: int = 400, message: str = "Words of the server.") -> ClientError:
    told = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    # An error as servers send it has fewer fields than the stubs demand.
    return ClientError(told, "PutObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (answer("NoSuchBucket", 404), "PUBLISH_BUCKET_MISSING", False),
        (answer("InvalidBucketName"), "PUBLISH_BUCKET_MISSING", False),
        (answer("AccessDenied", 403), "PUBLISH_DENIED", False),
        (answer("403", 403), "PUBLISH_DENIED", False),
        (answer("SomethingNew", 403), "PUBLISH_DENIED", False),
        (answer("InvalidAccessKeyId", 403), "PUBLISH_CREDENTIALS", False),
        (answer("SignatureDoesNotMatch", 403), "PUBLISH_CREDENTIALS", False),
        (answer("ExpiredToken"), "PUBLISH_CREDENTIALS", False),
        (answer("RequestTimeTooSkewed", 403), "PUBLISH_CREDENTIALS", False),
        (boto.NoCredentialsError(), "PUBLISH_CREDENTIALS", False),
        (answer("PermanentRedirect", 301), "PUBLISH_REGION", False),
        (answer("AuthorizationHeaderMalformed"), "PUBLISH_REGION", False),
        (answer("XMinioStorageFull", 507), "PUBLISH_FULL", False),
        (answer("QuotaExceeded", 403), "PUBLISH_FULL", False),
        (answer("SlowDown", 503), "PUBLISH_UNREACHABLE", True),
        (answer("InternalError", 500), "PUBLISH_UNREACHABLE", True),
        (answer("502", 502), "PUBLISH_UNREACHABLE", True),
        (answer("SomethingNew", 429), "PUBLISH_UNREACHABLE", True),
        (answer("EntityTooLarge", 400), "PUBLISH_REFUSED", False),
        (boto.EndpointConnectionError(endpoint_url="x", error="refused"), "PUBLISH_UNREACHABLE", True),
        (boto.ConnectTimeoutError(endpoint_url="x"), "PUBLISH_UNREACHABLE", True),
        (boto.ReadTimeoutError(endpoint_url="x"), "PUBLISH_UNREACHABLE", True),
        (boto.ConnectionClosedError(endpoint_url="x"), "PUBLISH_UNREACHABLE", True),
        (boto.ResponseStreamingError(error="cut off"), "PUBLISH_UNREACHABLE", True),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), "PUBLISH_UNREACHABLE", True),
        (ProtocolError("cut off"), "PUBLISH_UNREACHABLE", True),
        (ConnectionResetError("reset"), "PUBLISH_UNREACHABLE", True),
        (boto.SSLError(endpoint_url="x", error=OSError("certificate verify failed: x")), "PUBLISH_TLS", False),
        (boto.SSLError(endpoint_url="x", error=OSError("UNEXPECTED_EOF_WHILE_READING")), "PUBLISH_UNREACHABLE", True),
        (boto.ParamValidationError(report="x"), "PUBLISH_REFUSED", False),
        (ValueError("Invalid endpoint: https://[x"), "PUBLISH_REFUSED", False),
    ],
    ids=lambda value: f"{type(value).__name__} {value}" if isinstance(value, Exception) else None,
)
def test_every_failure_has_a_code_and_says_whether_to_try_again(error: Exception, code: str, retryable: bool) -> None:
    explained = explain(error, ATTEMPT, PLACE)
    assert (explained.code, explained.retryable) == (code, retryable)
    assert explained.message.startswith(f"{ATTEMPT} (https://s3.example.org, bucket images): ")
    assert explained.exit_status == (EXIT_USER if code in CHANGEABLE else EXIT_OURS)


def test_the_server_s_own_words_are_repeated_but_never_long() -> None:
    assert "AccessDenied: Words of the server." in explain(answer("AccessDenied", 403), ATTEMPT, PLACE).message
    assert len(explain(answer("X", message="long " * 1000), ATTEMPT, PLACE).message) < 500


def test_an_error_that_is_explained_already_stays_as_it_is() -> None:
    explained = explain(answer("AccessDenied", 403), ATTEMPT, PLACE)
    assert explain(explained, "something else", PLACE) is explained
